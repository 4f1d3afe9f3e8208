import { describe, expect, it } from "vitest";
import type { Settings as Stored, SettingsChange } from "../api/types.gen";
import { Settings } from "./settings.svelte";

const stored = (values: Record<string, unknown>, keys: Stored["keys"] = []): Stored => ({ values, keys, path: "/s", keysPath: "/k" });

describe("settings", () => {
  it("takes the door's values, leaves what cannot be used and says so", async () => {
    const s = new Settings();
    await s.follow({ get: async () => stored({ "appearance.theme": "dark", "appearance.textSize": 99, "other.thing": 1 }, [{ key: "f9", command: "x" }]), set: async () => stored({}) });
    expect(s.get("appearance.theme")).toBe("dark");
    expect(s.get("appearance.textSize")).toBe(14);
    expect(s.unusable).toEqual(["appearance.textSize"]);
    expect(s.keys).toHaveLength(1);
  });
  it("changes at once, sends null for a default, and goes back when it is refused", async () => {
    const s = new Settings();
    const sent: SettingsChange[] = [];
    let refuse = false;
    await s.follow({
      get: async () => stored({}),
      set: async (c) => {
        sent.push(c);
        if (refuse) throw new Error("no");
        return stored((c.values ?? {}) as Record<string, unknown>);
      },
    });
    const done = s.set("appearance.theme", "light");
    expect(s.get("appearance.theme")).toBe("light");
    await done;
    await s.set("appearance.theme", "system");
    expect(sent[1]).toEqual({ values: { "appearance.theme": null } });
    refuse = true;
    await expect(s.set("notifications.sound", true)).rejects.toThrow("no");
    expect(s.get("notifications.sound")).toBe(false);
  });
  it("works without a door that keeps anything", async () => {
    const s = new Settings();
    await s.follow({ get: () => Promise.reject(new Error("not found")), set: () => Promise.reject(new Error("not found")) });
    expect(s.get("general.sendKey")).toBe("enter");
  });
});
