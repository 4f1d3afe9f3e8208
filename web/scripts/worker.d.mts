import type { Plugin, WorkerOptions } from "vite";
export declare const worker: (root: string) => WorkerOptions;
export declare const packed: (dist: string) => Plugin;
