// Package api declares every type that crosses a process boundary: the link's
// envelope and hello, the backend's and the gateway's requests, events and
// errors. It imports only the standard library, holds no behaviour beyond
// small helpers, and is imported by every other package. The page's TypeScript
// types are generated from it (tools/tsgen), so a field's json tag is its
// contract.
//
// Conventions: times are Unix milliseconds (int64, UTC); ids are opaque
// strings; enums are strings written out; optional fields are omitempty or
// pointers; readers ignore fields they do not know.
package api

// ProtocolVersion is the version of the link and of the API. Both sides refuse
// a version they do not know with CodeProtocolMismatch.
const ProtocolVersion = 1
