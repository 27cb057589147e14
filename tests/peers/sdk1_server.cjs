// A server by the official TypeScript SDK 1.x; see npm_server.cjs. What must never stand here: what it offers.
const { randomUUID } = require('node:crypto');
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StdioServerTransport } = require('@modelcontextprotocol/sdk/server/stdio.js');
const { SSEServerTransport } = require('@modelcontextprotocol/sdk/server/sse.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { listen, offer } = require('./npm_server.cjs');

const sdk = {
  object: (shape) => shape,
  progress: ({ _meta, sendNotification }, params) => _meta?.progressToken !== undefined
    && sendNotification({ method: 'notifications/progress', params: { progressToken: _meta.progressToken, ...params } }),
  elicit: async ({ server }, _, params, then) => then((await server.elicitInput(params)).content),
  sample: async ({ server }, _, params, then) => then(await server.createMessage(params)),
  told: () => {},
};
const make = () => offer(new McpServer({ name: 'sdk1', version: '1' }), sdk);

function http() {
  const sessions = new Map();
  listen(async (request, response) => {
    const known = sessions.get(request.headers['mcp-session-id']);
    if (known) return known.handleRequest(request, response);
    if (request.headers['mcp-session-id']) return response.writeHead(404).end();
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => sessions.delete(id),
    });
    await make().connect(transport);
    return transport.handleRequest(request, response);
  });
}

function sse() {
  const streams = new Map();
  listen(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (request.method === 'GET' && url.pathname === '/sse') {
      const transport = new SSEServerTransport('/messages', response);
      streams.set(transport.sessionId, transport);
      return make().connect(transport);
    }
    const known = url.pathname === '/messages' && streams.get(url.searchParams.get('sessionId'));
    return known ? known.handlePostMessage(request, response) : response.writeHead(404).end();
  });
}

({ http, sse, stdio: () => make().connect(new StdioServerTransport()) })[process.argv[2]]();
