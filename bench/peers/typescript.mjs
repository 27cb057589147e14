// The official TypeScript SDK as a peer, in JSON mode: sessions as its documentation wires them, the newest revision
// by its own handler.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { localhostHostValidation, localhostOriginValidation, NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod';

const TOOLS = Number(process.env.BENCH_TOOLS ?? 0);
const BIG = 'x'.repeat(20_000);
const result = { result: z.string() };
const answer = (value) => ({ content: [{ type: 'text', text: String(value) }], structuredContent: { result: value } });
const text = z.object({ text: z.string() });
const sum = z.object({ a: z.number().int(), b: z.number().int() });
const count = z.object({ n: z.number().int() });
const three = z.object({ name: z.string(), count: z.number().int().default(1), flag: z.boolean().default(false) });
const outText = z.object(result);
const outNumber = z.object({ result: z.number() });
let notify = () => {};

function make() {
  const server = new McpServer({ name: 'bench', version: '1.0.0' }, { capabilities: { tools: { listChanged: true } } });
  server.registerTool('echo', { description: 'Return the text.', inputSchema: text, outputSchema: outText }, async ({ text }) => answer(text));
  server.registerTool('add', { description: 'Add two numbers.', inputSchema: sum, outputSchema: outNumber }, async ({ a, b }) => answer(a + b));
  server.registerTool('big', { description: 'Return 20 KB of text.', outputSchema: outText }, async () => answer(BIG));
  server.registerTool('stream', { description: 'Report progress n times, then answer.', inputSchema: count }, async ({ n }, ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (let step = 1; step <= n; step++) {
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: step, total: n } });
    }
    return { content: [{ type: 'text', text: 'done' }] };
  });
  server.registerTool('broadcast', { description: 'Tell all.' }, async () => { notify(); return { content: [{ type: 'text', text: 'told' }] }; });
  for (let number = 0; number < TOOLS; number++) {
    server.registerTool(`tool_${String(number).padStart(3, '0')}`, { description: 'A generated tool.', inputSchema: three, outputSchema: outText },
      async ({ name, count, flag }) => answer(`${name} ${count} ${flag}`));
  }
  return server;
}

async function http() {
  // A plain answer is JSON, an answer that speaks is a stream: in the session era only one mode can be had.
  const json = process.env.BENCH_STREAMING !== '1';
  const handler = createMcpHandler(make, { legacy: 'reject' });
  const modern = toNodeHandler(handler);
  const sessions = new Map();
  const servers = new Set();
  notify = () => { handler.notify.toolsChanged(); for (const server of servers) server.sendToolListChanged(); };
  const validHost = localhostHostValidation();
  const validOrigin = localhostOriginValidation();
  createServer(async (req, res) => {
    if (!validHost(req, res) || !validOrigin(req, res)) return;
    const known = sessions.get(req.headers['mcp-session-id']);
    if (known) return known.handleRequest(req, res);
    if (req.headers['mcp-protocol-version'] === '2026-07-28') return modern(req, res);
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID, enableJsonResponse: json,
      onsessioninitialized: (id) => { sessions.set(id, transport); }, onsessionclosed: (id) => { sessions.delete(id); servers.delete(server); },
    });
    const server = make();
    servers.add(server);
    await server.connect(transport);
    await transport.handleRequest(req, res);
  }).listen(Number(process.env.MCP_SERVER_PORT), '127.0.0.1');
}

if (process.env.BENCH_STDIO === '1') {
  const { serveStdio, StdioServerTransport } = await import('@modelcontextprotocol/server/stdio');
  await (serveStdio ? serveStdio(make) : make().connect(new StdioServerTransport()));
} else {
  await http();
}
