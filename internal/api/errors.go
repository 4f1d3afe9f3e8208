package api

import "errors"

// Code names a kind of failure; stable, never translated.
type Code string

const (
	CodeInvalid          Code = "invalid_request"
	CodeNotFound         Code = "not_found"
	CodeConflict         Code = "conflict"
	CodeUnauthorized     Code = "unauthorized"
	CodeTokenExpired     Code = "token_expired"
	CodeTokenRevoked     Code = "token_revoked"
	CodeTokenForeign     Code = "token_foreign_key"
	CodeTokenMalformed   Code = "token_malformed"
	CodeForbidden        Code = "forbidden"
	CodeNotReady         Code = "not_ready"
	CodeUnavailable      Code = "unavailable"
	CodeTimeout          Code = "timeout"
	CodeCancelled        Code = "cancelled"
	CodeTooLarge         Code = "too_large"
	CodeProtocolMismatch Code = "protocol_mismatch"
	CodeInternal         Code = "internal"

	CodeDatabaseOwned   Code = "database_owned"
	CodeDatabaseNewer   Code = "database_newer"
	CodeDatabaseCorrupt Code = "database_corrupt"

	CodeAgentNotFound Code = "agent_not_found"
	CodeAgentFailed   Code = "agent_failed"
	CodeAgentSignIn   Code = "agent_sign_in"

	CodeGitAuth      Code = "git_auth"        // no credential, or one that was not taken
	CodeGitHostKey   Code = "git_host_key"    // the host's key is not known, or changed
	CodeGitNetwork   Code = "git_network"     // the remote was not reached
	CodeGitIdentity  Code = "git_identity"    // no name and address to commit with
	CodeGitSigning   Code = "git_signing"     // the commit could not be signed
	CodeGitHook      Code = "git_hook"        // a hook refused
	CodeGitConflict  Code = "git_conflict"    // files with conflicts, or an operation under way
	CodeGitDirty     Code = "git_dirty"       // uncommitted changes are in the way
	CodeGitRejected  Code = "git_rejected"    // the remote has commits that are not here, or refuses
	CodeGitDetached  Code = "git_detached"    // no branch is checked out
	CodeGitUpstream  Code = "git_no_upstream" // the branch has no upstream, or no remote
	CodeGitNothing   Code = "git_nothing"     // there is nothing to commit
	CodeGitForge     Code = "git_forge"       // gh failed
	CodeGitUntrusted Code = "git_untrusted"   // the repository belongs to another user

	CodePathUntranslatable Code = "path_untranslatable"
	CodePathOutside        Code = "path_outside_project"

	CodeEnvironmentUnknown Code = "environment_unknown"
	CodeEnvironmentDown    Code = "environment_not_running"
	CodeEnvironmentTwin    Code = "environment_twin"
	CodeModeChangeFailed   Code = "mode_change_failed"
	CodeStageFailed        Code = "stage_failed"
	CodeLinkLost           Code = "link_lost"
	CodeBackendExited      Code = "backend_exited"

	CodeWSLMissing        Code = "wsl_missing"
	CodeWSLNotInstalled   Code = "wsl_not_installed"
	CodeWSLNoDistro       Code = "wsl_no_distro"
	CodeWSLVirtualization Code = "wsl_virtualization_off"
	CodeWSLBroken         Code = "wsl_broken"
	CodeWSLHung           Code = "wsl_hung"
	CodeDistroNotFound    Code = "distro_not_found"
	CodeDistroBusy        Code = "distro_busy"
	CodeDistroUtility     Code = "distro_utility"
	CodeDistroInvalid     Code = "distro_name_invalid"
)

// Error is the one error type that crosses a process boundary. Message says
// what happened, Hint what to do next.
type Error struct {
	Code      Code   `json:"code"`
	Message   string `json:"message"`
	Hint      string `json:"hint,omitempty"`
	Retryable bool   `json:"retryable,omitempty"`
	// Ref finds the full error in the log.
	Ref string `json:"ref,omitempty"`
	// Details is capped text for "copy details", e.g. the tail of a child's stderr.
	Details string `json:"details,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// AsError returns the *Error in err's chain, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// CodeOf returns the code of the *Error in err's chain, CodeInternal for any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e := AsError(err); e != nil {
		return e.Code
	}
	return CodeInternal
}
