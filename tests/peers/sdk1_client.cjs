// Drives a server by the official TypeScript SDK 1.x and prints what it found, as one JSON list:
// NODE_PATH=<its node_modules> node sdk1_client.cjs JOBS, a JSON list of [kind, target, mode].
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { SSEClientTransport } = require('@modelcontextprotocol/sdk/client/sse.js');
const { StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { ElicitRequestSchema } = require('@modelcontextprotocol/sdk/types.js');
const { run } = require('./npm_client.cjs');

run((mode) => {
  const client = new Client({ name: 'sdk1', version: '1' }, { capabilities: { elicitation: {} } });
  return {
    client,
    answer: (handler) => client.setRequestHandler(ElicitRequestSchema, handler),
    call: (params, options) => client.callTool(params, undefined, options),
    transports: { StdioClientTransport, SSEClientTransport, StreamableHTTPClientTransport },
  };
});
