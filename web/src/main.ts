import { mount } from "svelte";
import App from "./App.svelte";
import { layout } from "./app/layout.svelte";
import { app } from "./data/app.svelte";
import { applyTheme } from "./platform";
import "./ui/tokens.css";
import "./ui/base.css";

applyTheme();
layout.watch();
mount(App, { target: document.getElementById("app")! });
void app.start();
