// Addresses of the page. The environment is part of every one of them, so a
// link means the same after a mode change.
export type SettingsSection = (typeof settingsSections)[number];
export const settingsSections = ["general", "appearance", "environments", "agents", "keys", "git", "terminal", "archive", "diagnostics", "about"] as const;

export type Route =
  | { page: "home" }
  | { page: "thread"; env: string; thread: string; item?: string }
  | { page: "project"; env: string; project: string }
  | { page: "settings"; section: SettingsSection };

export function parseRoute(pathname: string): Route {
  const parts = pathname.split("/").filter(Boolean).map(decode);
  const [head, a, b, c] = parts;
  if (head === "t" && a && b) return { page: "thread", env: a, thread: b, item: c };
  if (head === "p" && a && b) return { page: "project", env: a, project: b };
  if (head === "settings") return { page: "settings", section: settingsSections.find((s) => s === a) ?? "general" };
  return { page: "home" };
}

export function routePath(r: Route): string {
  switch (r.page) {
    case "thread":
      return ["/t", r.env, r.thread, ...(r.item ? [r.item] : [])].map((s, i) => (i ? encodeURIComponent(s) : s)).join("/");
    case "project":
      return `/p/${encodeURIComponent(r.env)}/${encodeURIComponent(r.project)}`;
    case "settings":
      return `/settings/${r.section}`;
    default:
      return "/";
  }
}

function decode(s: string): string {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
}
