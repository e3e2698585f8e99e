import { mount } from "svelte";

import App from "./App.svelte";
import { feed } from "./state/feed.svelte";
import { preferences } from "./state/preferences.svelte";
import { listen } from "./state/trading.svelte";
import { ed25519Signer, hasCryptography, kept } from "./api/keys";
import { account } from "./state/account.svelte";
import { locale } from "./i18n/locale.svelte";

const target = document.getElementById("app");
if (target) {
  // Texts first, so that nothing is drawn in one language and then in another.
  await locale.choose(preferences.value.locale).catch(() => {});
  target.replaceChildren();
  listen();
  mount(App, { target });
  feed.start();
  // A key that somebody asked to be kept in this browser.
  const key = hasCryptography() ? await kept() : null;
  if (key?.apiKey && !account.isIn)
    account.logIn(`${key.apiKey.slice(0, 6)}…`, ed25519Signer(key.apiKey, key.privateKey), key.publicKey);
}
