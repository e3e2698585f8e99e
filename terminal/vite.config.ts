// The built files have fixed names: they are embedded in the binary one by one, and revalidated by their tags.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// `npm run dev` shows the page from its sources, over the API of a venue that runs here.
const venue = process.env["CROSSBOOK_URL"] ?? "http://127.0.0.1:8080";
// The name of the host stays, because the venue accepts WebSockets of its own pages only.
const proxied = { target: venue };

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 400,
    rolldownOptions: {
      output: {
        entryFileNames: "app.js",
        chunkFileNames: "[name].js",
        assetFileNames: "app[extname]",
        // One file for what every part needs; the others are loaded when they are shown.
        codeSplitting: {
          groups: [
            {
              name: "core",
              test: /node_modules\/(svelte|esm-env|clsx)|src\/(api|state|orders)\/|src\/i18n\/(en|locale)/,
            },
          ],
        },
      },
    },
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      "/api": proxied,
      "/sapi": proxied,
      "/demo.json": proxied,
      "/stream": { ...proxied, ws: true },
      "/ws-api": { ...proxied, ws: true },
    },
  },
  test: { include: ["tests/unit/**/*.test.ts"] },
} as import("vitest/config").ViteUserConfig);
