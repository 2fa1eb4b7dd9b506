// Answers of models are hostile until proven otherwise: what they write as Markdown becomes a few harmless elements, what they write
// as HTML stays text, and nothing is fetched.
import DOMPurify from 'dompurify'
import { Marked } from 'marked'

const escape = (s: string) => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

// where is a link's address if it may be one, else undefined.
function where(address: string): string | undefined {
  try {
    const { protocol, href } = new URL(address)
    return protocol === 'https:' || protocol === 'mailto:' ? href : undefined
  } catch {
    return undefined // relative ones would lead into the console
  }
}

const marked = new Marked({
  gfm: true,
  async: false,
  renderer: {
    html: ({ text, block }) => (block ? `<p>${escape(text)}</p>\n` : escape(text)),
    heading({ tokens, depth }) {
      const level = Math.min(depth + 2, 6) // the page has the first two
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`
    },
    link({ href, tokens }) {
      const inner = this.parser.parseInline(tokens).replace(/<\/?a\b[^>]*>/g, '') // an image in a link is none of its own
      const to = where(href)
      return to ? `<a href="${escape(to)}">${inner}</a>` : inner
    },
    // An image would be fetched, and its address tell whoever wrote it what he wants to know: it is a link that is to be pressed.
    image({ href, text }) {
      const to = where(href)
      const name = `Image: ${escape(text || href)}`
      return to ? `<a href="${escape(to)}">${name}</a>` : name
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
})

const purify = DOMPurify()
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return
  node.setAttribute('target', '_blank')
  node.setAttribute('rel', 'noopener noreferrer')
})

/** The elements that a block of Markdown stands for. */
export function render(source: string): DocumentFragment {
  return purify.sanitize(marked.parse(source) as string, {
    ALLOWED_TAGS: [
      ...['p', 'br', 'hr', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'blockquote'],
      ...['ul', 'ol', 'li', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', '#text'],
    ],
    ALLOWED_ATTR: ['href', 'start', 'align'],
    ADD_URI_SAFE_ATTR: ['start', 'align'],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https|mailto):/i,
    RETURN_DOM_FRAGMENT: true,
  })
}

/** Splits what has come of an answer into blocks that will not change any more, and the rest. */
export function split(text: string): { blocks: string[]; rest: string } {
  const blocks: string[] = []
  let begin = 0
  let at = 0
  let fence = '' // the one that is open
  let blank = false // the line before is
  let list = false // the block is
  for (const line of text.split(/(?<=\n)/)) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? ''
    if (fence) {
      if (mark.startsWith(fence) && line.trim() === mark) fence = ''
    } else if (line.trim() === '') {
      blank = true
    } else {
      const item = /^ {0,3}([-*+]|\d{1,9}[.)])\s/.test(line)
      const goesOn = /^\s{2,}\S/.test(line) || (list && item)
      if (blank && !goesOn && line.endsWith('\n')) {
        if (at > begin) blocks.push(text.slice(begin, at))
        begin = at
        list = false
      }
      if (at === begin) list = item
      blank = false
      fence = mark
    }
    at += line.length
  }
  return { blocks, rest: text.slice(begin) }
}
