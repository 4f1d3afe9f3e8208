import type { Code, Error as ApiError } from "../api/types.gen";

/** CallError carries the server's own error, or one made here when no answer came. */
export class CallError extends Error {
  constructor(
    readonly error: ApiError,
    readonly status = 0,
  ) {
    super(error.message);
  }
}

export function apiError(code: Code, message: string, hint?: string): ApiError {
  return { code, message, hint };
}

/** toApiError turns whatever was thrown into something that can be shown. */
export function toApiError(e: unknown): ApiError {
  if (e instanceof CallError) return e.error;
  if (e instanceof Error) return apiError("internal", e.message);
  return apiError("internal", String(e));
}

/** isApiError tells a server's error from any other JSON. */
export function isApiError(v: unknown): v is ApiError {
  return typeof v === "object" && v !== null && typeof (v as ApiError).code === "string" && typeof (v as ApiError).message === "string";
}

export function isUnauthorized(e: ApiError): boolean {
  return e.code === "unauthorized" || e.code.startsWith("token_");
}

/** errorText is what "Copy details" puts on the clipboard. */
export function errorText(e: ApiError, extra = ""): string {
  return [`${e.message} (${e.code})`, e.hint, e.ref && `Log reference: ${e.ref}`, e.details, extra].filter(Boolean).join("\n\n");
}
