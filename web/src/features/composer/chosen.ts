import type { PermissionMode } from "../../api/types.gen";

/** What a message is sent with. */
export interface Chosen {
  agentId: string;
  permission: PermissionMode;
  /** "" is the agent's own choice. */
  model: string;
  effort: string;
  plan: boolean;
}
