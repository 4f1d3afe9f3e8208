package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"catamaran/internal/api"
)

// Status is the HTTP status that fits a code.
func Status(code api.Code) int {
	switch code {
	case api.CodeInvalid, api.CodePathUntranslatable, api.CodeDistroInvalid:
		return http.StatusBadRequest
	case api.CodeUnauthorized, api.CodeTokenExpired, api.CodeTokenRevoked, api.CodeTokenForeign, api.CodeTokenMalformed:
		return http.StatusUnauthorized
	case api.CodeForbidden, api.CodePathOutside:
		return http.StatusForbidden
	case api.CodeNotFound, api.CodeEnvironmentUnknown, api.CodeAgentNotFound, api.CodeDistroNotFound:
		return http.StatusNotFound
	case api.CodeConflict, api.CodeDatabaseOwned, api.CodeDistroBusy, api.CodeModeChangeFailed:
		return http.StatusConflict
	case api.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case api.CodeProtocolMismatch:
		return http.StatusUpgradeRequired
	case api.CodeTimeout:
		return http.StatusGatewayTimeout
	case api.CodeCancelled:
		return 499 // what nginx made the custom: the client went away
	case api.CodeNotReady, api.CodeUnavailable, api.CodeEnvironmentDown, api.CodeLinkLost, api.CodeBackendExited:
		return http.StatusServiceUnavailable
	case api.CodeAgentFailed, api.CodeAgentSignIn:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// Explain turns any error into the *api.Error that may leave the process. An
// error nobody meant for people becomes CodeInternal with a Ref, and the whole
// of it goes to log under that ref.
func Explain(log *slog.Logger, err error) *api.Error {
	if e := api.AsError(err); e != nil {
		return e
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &api.Error{Code: api.CodeTooLarge, Message: "The request is too large."}
	case errors.Is(err, context.Canceled):
		return &api.Error{Code: api.CodeCancelled, Message: "The request was cancelled.", Retryable: true}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeTimeout, Message: "This took too long and was given up.", Hint: "Try again.", Retryable: true}
	}
	ref := newRef()
	log.Error("internal error", "ref", ref, "err", err.Error())
	return &api.Error{
		Code:    api.CodeInternal,
		Message: "Something went wrong inside Catamaran.",
		Hint:    "The log has the details under the reference.",
		Ref:     ref,
	}
}

func newRef() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// WriteError answers with err as JSON and the status that fits its code. An
// error that is no api.Error goes to the default logger, see Explain.
func WriteError(w http.ResponseWriter, err error) {
	e := Explain(slog.Default(), err)
	b, jerr := json.Marshal(e)
	if jerr != nil {
		b = []byte(`{"code":"internal","message":"Something went wrong inside Catamaran."}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if Status(e.Code) == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(Status(e.Code))
	_, _ = w.Write(append(b, '\n')) // a client that went away has nobody to tell
}

// ReadJSON reads the request's body of at most max bytes into v. An empty body
// leaves v as it is. A body must be declared as application/json: a form of
// another page cannot do that without asking first. Errors are *api.Error
// CodeInvalid or CodeTooLarge.
func ReadJSON(w http.ResponseWriter, r *http.Request, max int64, v any) error {
	b, err := ReadBody(w, r, max)
	if err != nil || len(b) == 0 {
		return err
	}
	return DecodeJSON(b, v)
}

// ReadBody is the first half of ReadJSON: the bytes, nil for an empty body.
func ReadBody(w http.ResponseWriter, r *http.Request, max int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, &api.Error{Code: api.CodeTooLarge, Message: "The request is too large."}
		}
		return nil, invalid("The request ended early.")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, nil
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/json" {
		if t, _, err := mime.ParseMediaType(ct); err != nil || t != "application/json" {
			return nil, invalid("The request is not declared as application/json.")
		}
	}
	return b, nil
}

// DecodeJSON decodes one JSON value into v; unknown fields are ignored. The
// error never quotes the input, which may hold a secret.
func DecodeJSON(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) && typed.Field != "" {
			return invalid("The field " + typed.Field + " has the wrong type.")
		}
		return invalid("The request is not valid JSON of the expected form.")
	}
	return nil
}

func invalid(message string) error {
	return &api.Error{Code: api.CodeInvalid, Message: message}
}
