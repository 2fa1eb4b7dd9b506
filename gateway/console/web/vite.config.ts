import { gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

// The whole page, as a browser gets it the first time.
const mostBytes = 100_000

// small fails a build that would make the page too large.
const small: Plugin = {
  name: 'small',
  writeBundle(_, bundle) {
    let bytes = 0
    for (const file of Object.values(bundle)) {
      bytes += gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length
    }
    console.log(`gzipped: ${bytes} of ${mostBytes} bytes`)
    if (bytes > mostBytes) throw new Error(`the console has ${bytes} bytes gzipped; ${mostBytes} are allowed`)
  },
}

// What is built is committed, so that `go build` needs no npm: the names have no hash, and the same sources make the same bytes.
// `npm run dev` serves the sources and passes the rest on to a gateway at its usual admin address.
export default defineConfig({
  base: './',
  plugins: [small],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'], // they have light-dark()
    modulePreload: false,
    reportCompressedSize: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: { entryFileNames: 'app.js', assetFileNames: 'app.[ext]', codeSplitting: false },
    },
  },
  server: {
    proxy: { '^/(admin|v1|oauth)/': { target: process.env.SLUICE_ADMIN ?? 'http://127.0.0.1:9090', ws: true } },
  },
})
