import { mount } from "svelte";
import App from "./App.svelte";
import { layout } from "./app/layout.svelte";
import { lookAsChosen } from "./app/looks";
import { app } from "./data/app.svelte";
import "./ui/tokens.css";
import "./ui/base.css";

lookAsChosen();
layout.watch();
mount(App, { target: document.getElementById("app")! });
void app.start();
