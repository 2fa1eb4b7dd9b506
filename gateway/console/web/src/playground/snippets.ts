// A request as one would send it from a shell or a program.
import type { ChatRequest } from './conversation'

export const languages = ['curl', 'Python', 'JavaScript'] as const
export type Language = (typeof languages)[number]

export function snippet(language: Language, request: ChatRequest, base: string): string {
  const body = JSON.stringify(request, null, 2)
  switch (language) {
    case 'curl':
      return `curl -N ${base}/v1/chat/completions \\
  -H "Authorization: Bearer $SLUICE_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${JSON.stringify({ ...request, stream: true }, null, 2).replaceAll("'", "'\\''")}'`
    case 'Python':
      return `import os
from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key=os.environ["SLUICE_API_KEY"])
stream = client.chat.completions.create(
    **${body.replaceAll('\n', '\n    ')},
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`
    case 'JavaScript':
      return `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${base}/v1', apiKey: process.env.SLUICE_API_KEY })
const stream = await client.chat.completions.create({
  ...${body.replaceAll('\n', '\n  ')},
  stream: true,
})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '')
`
  }
}
