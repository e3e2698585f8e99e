import { mount } from "svelte";

import App from "./App.svelte";
import { locale } from "./i18n/locale.svelte";

const target = document.getElementById("app");
if (target) {
  locale.begin();
  mount(App, { target });
}
