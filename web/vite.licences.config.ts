// A build of the page only to learn what is in it: the bundler's own list of
// libraries and their licences, for the packages. Its output is thrown away.
import { mergeConfig } from "vite";
import page from "./vite.config.ts";

export default mergeConfig(page, { build: { license: { fileName: "page-licences.json" } }, logLevel: "warn" });
