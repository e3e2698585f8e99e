// The built files have fixed names: they are embedded in the binary one by one.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// `npm run dev` shows the page from its sources, over the admin API of a venue that runs here.
const admin = process.env["CROSSBOOK_ADMIN_URL"] ?? "http://127.0.0.1:8081";

export default defineConfig({
  base: "/console/",
  plugins: [svelte()],
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 400,
    rolldownOptions: { output: { entryFileNames: "app.js", assetFileNames: "app[extname]", codeSplitting: false } },
  },
  server: {
    host: "127.0.0.1",
    fs: { allow: [".."] },
    proxy: { "/admin": admin, "/metrics": admin, "/readyz": admin },
  },
  test: { include: ["tests/unit/**/*.test.ts"] },
} as import("vitest/config").ViteUserConfig);
