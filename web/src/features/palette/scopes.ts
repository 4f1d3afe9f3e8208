/** What the palette looks through when it opens; typing ">", "#", "/" or "?" first changes it. */
export type PaletteScope = "all" | "commands" | "threads" | "files" | "messages";
