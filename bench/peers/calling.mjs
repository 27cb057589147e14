// The TypeScript client as calling.py measures the others: node calling.mjs ERA URL SECONDS.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [era, url, seconds] = process.argv.slice(2);
const mode = era === 'modern' ? 'auto' : 'legacy';
const client = new Client({ name: 'bench', version: '1' }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
await client.listTools();

async function call() {
  const answer = await client.callTool({ name: 'echo', arguments: { text: 'hello' } });
  if (answer.content[0].text !== 'hello') throw new Error('not the answer');
}

async function batch(calls, inFlight) {
  const lane = async () => { for (let done = 0; done < calls / inFlight; done++) await call(); };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

async function micros(inFlight) {
  await batch(64, inFlight);
  const before = process.cpuUsage(), until = performance.now() + Number(seconds) * 1000;
  let done = 0;
  for (; performance.now() < until; done += 160) await batch(160, inFlight);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / done;
}

process.stdout.write(JSON.stringify({ 1: await micros(1), 16: await micros(16) }), () => process.exit(0));
