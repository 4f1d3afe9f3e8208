package server

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/engine"
	"catamaran/internal/proc"
	"catamaran/internal/term"
)

// route is one method: how it is called, and what the documentation and the
// page's types say about it.
type route struct {
	method, doc       string
	request, response reflect.Type
	// early methods answer in every phase.
	early bool
	// bound is the longest a call may take, where that is more than usual.
	bound time.Duration
	call  func(ctx context.Context, s *Server, commandID string, params []byte) (any, error)
}

// table is the one place where a method is declared.
var table = slices.Concat(ownTable, reviewTable)

var ownTable = []route{
	own(api.MethodDescriptor, "The backend's descriptor; answers in every phase.", func(s *Server, _ context.Context, _ api.Empty) (api.Descriptor, error) {
		d, _ := s.Descriptor()
		d.MemoryBytes = proc.Memory()
		return d, nil
	}),
	own(api.MethodPing, "Nothing, as fast as possible; answers in every phase.", func(*Server, context.Context, api.Empty) (api.Empty, error) { return api.Empty{}, nil }),
	own(api.MethodIdentityRenew, "Gives the environment a new id and signing key from its next start on, for a copy of another; answers in every phase.", (*Server).renewIdentity),
	own(api.MethodFolderList, "Sub-folders of a folder, for the folder browser; answers in every phase.", (*Server).listFolder),
	own(api.MethodPathTranslate, "The absolute path of this environment for one as people type it; a Windows path only inside WSL. Answers in every phase.", (*Server).translatePath),
	change(api.MethodProjectAdd, "Adds a folder as a project; the same folder again answers the project it is. Inside WSL the path may be a Windows one.", (*Server).addProject),
	own(api.MethodDoctorRun, "Checks the environment the backend runs in; answers in every phase.", (*Server).diagnose),
	command(api.MethodProjectRename, "Renames a project.", (*engine.Engine).RenameProject),
	command(api.MethodProjectRemove, "Removes a project and its threads; files stay.", (*engine.Engine).RemoveProject),
	query(api.MethodActivity, "Threads whose turns have not ended: what ending the backend would cut off.", (*engine.Engine).Activity),
	query(api.MethodAgentList, "Agents as detected in the environment.", (*engine.Engine).ListAgents),
	query(api.MethodAgentOptions, "What an agent offers in a project: models, efforts, commands; asked once for each version and folder, then kept.", (*engine.Engine).AgentOptions),
	query(api.MethodInstanceList, "What was set for agents: programs, arguments, variables; secrets only as set or not.", (*engine.Engine).ListInstances),
	command(api.MethodInstanceSave, "Makes or changes settings of an agent; they count from its next start on.", (*engine.Engine).SaveInstance),
	command(api.MethodInstanceRemove, "Removes settings of an agent, its secrets included.", (*engine.Engine).RemoveInstance),
	command(api.MethodThreadCreate, "Creates a thread.", (*engine.Engine).CreateThread),
	command(api.MethodThreadRename, "Renames a thread.", (*engine.Engine).RenameThread),
	command(api.MethodThreadArchive, "Archives a thread or brings it back.", (*engine.Engine).ArchiveThread),
	command(api.MethodThreadUpdate, "Changes a thread's agent, permission mode, model, effort or plan mode from the next turn on.", (*engine.Engine).UpdateThread),
	command(api.MethodThreadPin, "Pins a thread or lets it go.", (*engine.Engine).PinThread),
	command(api.MethodThreadSeen, "Says that a person has seen the thread as it is: it is no longer unread.", (*engine.Engine).SeenThread),
	query(api.MethodThreadHistory, "A part of a thread's timeline that is older than its snapshot.", (*engine.Engine).History),
	query(api.MethodItemOutput, "A part of a tool call's whole output.", (*engine.Engine).ItemOutput),
	command(api.MethodThreadDelete, "Deletes a thread for good.", (*engine.Engine).DeleteThread),
	command(api.MethodTurnStart, "Starts a turn, hands the message to the running one (steer), or queues it behind that.", (*engine.Engine).StartTurn),
	command(api.MethodTurnUnqueue, "Takes a queued turn back.", (*engine.Engine).UnqueueTurn),
	command(api.MethodTurnEdit, "Changes the text of a queued turn.", (*engine.Engine).EditTurn),
	command(api.MethodTurnStop, "Stops the running turn; answers at once with stopping set.", (*engine.Engine).StopTurn),
	command(api.MethodApprovalAnswer, "Answers an approval.", (*engine.Engine).AnswerApproval),
	query(api.MethodSearch, "Looks for words in titles and messages.", (*engine.Engine).Search),
	command(api.MethodQuestionAnswer, "Answers a question part by part, or declines to answer it.", (*engine.Engine).AnswerQuestion),
	own(api.MethodAttachmentURL, "An address for an uploaded file that is good for ten minutes and needs no token.", (*Server).attachmentURL),
	terminal(api.MethodTerminalOpen, "Opens a terminal in a project's folder, or in a thread's own.", (*term.Manager).Open),
	terminal(api.MethodTerminalList, "All terminals, after a look at what runs in them.", func(m *term.Manager, ctx context.Context, _ string, _ api.Empty) (api.Terminals, error) {
		return m.List(ctx)
	}),
	terminal(api.MethodTerminalRename, "Names a terminal; an empty name leaves it to its title.", func(m *term.Manager, ctx context.Context, _ string, r api.TerminalRename) (api.Terminal, error) {
		return m.Rename(ctx, r)
	}),
	terminal(api.MethodTerminalRestart, "Starts a shell again below the history of one that has ended; nothing where one runs.", func(m *term.Manager, ctx context.Context, _ string, r api.TerminalRef) (api.Terminal, error) {
		return m.Restart(ctx, r)
	}),
	terminal(api.MethodTerminalClose, "Ends everything in a terminal and drops its history.", func(m *term.Manager, ctx context.Context, _ string, r api.TerminalRef) (api.Empty, error) {
		return m.Close(ctx, r)
	}),
	look(api.MethodFileFind, "Paths of a project or a thread's working tree that match a few letters, the best first.", (*Server).findFiles),
	look(api.MethodFileList, "What is in a folder of a project.", (*Server).listFiles),
	look(api.MethodFileRead, "A part of a file's text, or what else the file is.", (*Server).readFile),
	look(api.MethodFileSearch, "Lines of files that hold a text or match a regular expression; ignored files are left out.", (*Server).searchFiles),
	query(api.MethodSessionList, "Conversations that an agent's own program keeps on disk about a project's folder.", (*engine.Engine).ListSessions),
	command(api.MethodSessionOpen, "Makes a thread of such a conversation, with its messages; the next turn goes on with it.", (*engine.Engine).OpenSession),
}

func (s *Server) diagnose(ctx context.Context, r api.DoctorRun) (api.DoctorReport, error) {
	if s.o.Doctor == nil {
		return api.DoctorReport{}, &api.Error{Code: api.CodeUnavailable, Message: "This backend makes no checks."}
	}
	return s.o.Doctor.Run(ctx, r)
}

// terminal is a method of the terminals.
func terminal[Req, Res any](method, doc string, f func(*term.Manager, context.Context, string, Req) (Res, error)) route {
	return change(method, doc, func(s *Server, ctx context.Context, commandID string, req Req) (Res, error) {
		if s.o.Terminals == nil {
			var none Res
			return none, errNoTerminals
		}
		return f(s.o.Terminals, ctx, commandID, req)
	})
}

// command is a method of the engine that changes something and takes a command id.
func command[Req, Res any](method, doc string, f func(*engine.Engine, context.Context, string, Req) (Res, error)) route {
	return route{
		method: method, doc: doc, request: reflect.TypeFor[Req](), response: reflect.TypeFor[Res](),
		call: func(ctx context.Context, s *Server, commandID string, params []byte) (any, error) {
			var req Req
			if err := decode(params, &req); err != nil {
				return nil, err
			}
			return f(s.o.Engine, ctx, commandID, req)
		},
	}
}

// change is a command that the server has something to do with first.
func change[Req, Res any](method, doc string, f func(*Server, context.Context, string, Req) (Res, error)) route {
	return route{
		method: method, doc: doc, request: reflect.TypeFor[Req](), response: reflect.TypeFor[Res](),
		call: func(ctx context.Context, s *Server, commandID string, params []byte) (any, error) {
			var req Req
			if err := decode(params, &req); err != nil {
				return nil, err
			}
			return f(s, ctx, commandID, req)
		},
	}
}

// look is a method the server answers itself once it is ready, which changes nothing.
func look[Req, Res any](method, doc string, f func(*Server, context.Context, Req) (Res, error)) route {
	return change(method, doc, func(s *Server, ctx context.Context, _ string, req Req) (Res, error) { return f(s, ctx, req) })
}

// query is a method of the engine that changes nothing.
func query[Req, Res any](method, doc string, f func(*engine.Engine, context.Context, Req) (Res, error)) route {
	return command(method, doc, func(e *engine.Engine, ctx context.Context, _ string, req Req) (Res, error) { return f(e, ctx, req) })
}

// own is a method the server answers itself, in every phase.
func own[Req, Res any](method, doc string, f func(*Server, context.Context, Req) (Res, error)) route {
	return route{
		method: method, doc: doc, request: reflect.TypeFor[Req](), response: reflect.TypeFor[Res](), early: true,
		call: func(ctx context.Context, s *Server, _ string, params []byte) (any, error) {
			var req Req
			if err := decode(params, &req); err != nil {
				return nil, err
			}
			return f(s, ctx, req)
		},
	}
}

func decode(params []byte, v any) error {
	if len(params) == 0 {
		return nil
	}
	return auth.DecodeJSON(params, v)
}

// Markdown is the table of methods as docs/protocol.md shows it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| method | request | answer | what it does |\n| --- | --- | --- | --- |\n")
	for _, rt := range table {
		fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | %s |\n", rt.method, rt.request.Name(), rt.response.Name(), rt.doc)
	}
	return b.String()
}
