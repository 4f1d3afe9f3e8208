package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"catamaran/internal/api"
)

// Questions are the approvals an agent waits on. Every one is answered exactly
// once: by a person, as cancelled, or by nobody when the agent withdrew it.
type Questions struct {
	conn  *Conn
	nonce string

	mu      sync.Mutex
	open    map[string]*question
	settled []string // answered as cancelled, told at the turn's end
	asked   int
}

type question struct {
	request json.RawMessage // the call's id
	options []api.ApprovalOption
	answer  func(option string) any
	// reply makes the result of a question's answers; nil for an approval.
	reply func(answers []api.QuestionAnswerPart) any
}

// NewQuestions returns an empty set; nonce makes ids differ from those of earlier
// processes of the same session.
func NewQuestions(conn *Conn, nonce string) *Questions {
	return &Questions{conn: conn, nonce: nonce, open: map[string]*question{}}
}

// Add keeps a question until it is answered and returns the approval's id. request
// is the id of the agent's call; answer makes the call's result of a chosen option's
// id, "" meaning cancelled. A nil result leaves the call unanswered for now: it
// waits on another question.
func (q *Questions) Add(request json.RawMessage, options []api.ApprovalOption, answer func(option string) any) string {
	return q.add("approval", &question{request: request, options: options, answer: answer})
}

// Ask keeps a question of several parts and returns its id. cancelled is the call's
// result when the turn ends, reply makes that of a person's answers, nil meaning that
// they declined to answer.
func (q *Questions) Ask(request json.RawMessage, cancelled any, reply func(answers []api.QuestionAnswerPart) any) string {
	return q.add("question", &question{request: request, answer: func(string) any { return cancelled }, reply: reply})
}

func (q *Questions) add(kind string, a *question) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	id := fmt.Sprintf("%s:%s-%d", kind, q.nonce, q.asked)
	q.open[id] = a
	return id
}

// Reply answers a question; see agent.Session.
func (q *Questions) Reply(id string, answers []api.QuestionAnswerPart) error {
	q.mu.Lock()
	a := q.open[id]
	if a == nil || a.reply == nil {
		q.mu.Unlock()
		return waitsNot()
	}
	delete(q.open, id)
	result := a.reply(answers)
	q.mu.Unlock()
	return q.respond(a, result)
}

func waitsNot() error {
	return &api.Error{Code: api.CodeConflict, Message: "The agent does not wait for this answer any more."}
}

// Answer answers a question; see agent.Session.
func (q *Questions) Answer(id, option string) error {
	q.mu.Lock()
	a := q.open[id]
	if a == nil {
		q.mu.Unlock()
		return waitsNot()
	}
	if option != "" && !slices.ContainsFunc(a.options, func(o api.ApprovalOption) bool { return o.ID == option }) {
		q.mu.Unlock()
		return &api.Error{Code: api.CodeInvalid, Message: "The agent does not offer this answer."}
	}
	delete(q.open, id)
	result := a.answer(option)
	q.mu.Unlock()
	return q.respond(a, result)
}

func (q *Questions) respond(a *question, result any) error {
	if result == nil {
		return nil
	}
	if err := q.conn.peer.Respond(a.request, result); err != nil {
		return &api.Error{Code: api.CodeAgentFailed, Message: q.conn.o.Open.Agent.Name + " could not be given the answer.", Details: err.Error()}
	}
	return nil
}

// Cancel answers every open question as cancelled.
func (q *Questions) Cancel() {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := make([]string, 0, len(q.open))
	for id := range q.open {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		a := q.open[id]
		delete(q.open, id)
		if result := a.answer(""); result != nil {
			q.conn.Respond(a.request, result)
		}
	}
	q.settled = append(q.settled, ids...)
}

// Settle cancels what is open and returns the ids of all questions that were
// cancelled since the last time.
func (q *Questions) Settle() []string {
	q.Cancel()
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := q.settled
	q.settled = nil
	return ids
}

// Withdraw forgets the open questions of a call that the agent does not wait on
// any more and returns their ids.
func (q *Questions) Withdraw(request json.RawMessage) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ids []string
	for id, a := range q.open {
		if bytes.Equal(bytes.TrimSpace(a.request), bytes.TrimSpace(request)) {
			ids = append(ids, id)
			delete(q.open, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// NoSteer is the answer of an agent that takes no message while a turn runs.
func NoSteer() error {
	return &api.Error{Code: api.CodeConflict, Message: "The running turn takes no message now."}
}
