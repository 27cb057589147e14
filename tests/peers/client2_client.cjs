// Drives a server by the official TypeScript client 2.x and prints what it found, as one JSON list:
// NODE_PATH=<its node_modules> node client2_client.cjs JOBS, a JSON list of [kind, target, mode].
const { Client, SSEClientTransport, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');
const { run } = require('./npm_client.cjs');

run((mode) => {
  const options = { capabilities: { elicitation: {} }, versionNegotiation: { mode } };
  const client = new Client({ name: 'client2', version: '1' }, options);
  return {
    client,
    answer: (handler) => client.setRequestHandler('elicitation/create', handler),
    call: (params, more) => client.callTool(params, more),
    transports: { StdioClientTransport, SSEClientTransport, StreamableHTTPClientTransport },
  };
});
