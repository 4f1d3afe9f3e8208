import type { IconName } from "./Icon.svelte";

/** An entry of a menu. */
export interface Action {
  name: string;
  icon?: IconName;
  danger?: boolean;
  testid?: string;
  /** A line stands above it. */
  apart?: boolean;
  /** The command that does the same: its key is printed. */
  command?: string;
  run: () => void;
}
