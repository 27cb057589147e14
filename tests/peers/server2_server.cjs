// A server by the official TypeScript server package 2.x, both eras; see npm_server.cjs. It has no HTTP+SSE.
// What must never stand here: what it offers.
const { randomUUID } = require('node:crypto');
const { NodeStreamableHTTPServerTransport, toNodeHandler } = require('@modelcontextprotocol/node');
const { createMcpHandler, inputRequired, McpServer } = require('@modelcontextprotocol/server');
const { serveStdio } = require('@modelcontextprotocol/server/stdio');
const z = require('zod');
const { listen, offer } = require('./npm_server.cjs');

let told = () => {};
const once = (key, request, then) => (ctx) => {
  const given = ctx.mcpReq.inputResponses?.[key];
  return given === undefined ? inputRequired({ inputRequests: { [key]: request } }) : then(given);
};
const sdk = {
  object: (shape) => z.object(shape),
  progress: ({ mcpReq }, params) => mcpReq._meta?.progressToken !== undefined
    && mcpReq.notify({ method: 'notifications/progress', params: { progressToken: mcpReq._meta.progressToken, ...params } }),
  elicit: (_, ctx, params, then) => once('ask', inputRequired.elicit(params), (given) => then(given.content))(ctx),
  sample: (_, ctx, params, then) => once('think', inputRequired.createMessage(params), then)(ctx),
  told: () => told(),
};
const make = () => offer(new McpServer({ name: 'server2', version: '1' }, { capabilities: { tools: { listChanged: true } } }), sdk);

function http() {
  const handler = createMcpHandler(make, { legacy: 'reject' });
  told = () => handler.notify.toolsChanged();
  const modern = toNodeHandler(handler);
  const sessions = new Map();
  listen(async (request, response) => {
    const id = request.headers['mcp-session-id'];
    if (sessions.has(id)) return sessions.get(id).handleRequest(request, response);
    if (id) return response.writeHead(404).end();
    if (request.headers['mcp-protocol-version'] === '2026-07-28') return modern(request, response);
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (made) => sessions.set(made, transport),
      onsessionclosed: (gone) => sessions.delete(gone),
    });
    await make().connect(transport);
    return transport.handleRequest(request, response);
  });
}

({ http, stdio: () => serveStdio(make) })[process.argv[2]]();
