// What both TypeScript servers offer, and how they are told where: node SCRIPT stdio | http PORT | sse PORT.
// `sdk` hides how the two differ: { object, progress, elicit, sample, told }.
const z = require('zod');

let grown = false; // of the process: some servers are made anew for every request
const said = (text) => ({ content: [{ type: 'text', text: String(text) }] });

exports.offer = (server, sdk) => {
  const tool = (name, shape, run) => server.registerTool(name, { description: name, inputSchema: sdk.object(shape) }, run);
  tool('add', { a: z.number(), b: z.number() }, async ({ a, b }) => said(a + b));
  tool('fail', {}, async () => { throw new Error('no'); });
  tool('big', { size: z.number() }, async ({ size }) => said('x'.repeat(size)));
  tool('slow', {}, () => new Promise(() => {}));
  tool('wait', {}, async (_, ctx) => { await sdk.progress(ctx, { progress: 1 }); return new Promise(() => {}); });
  tool('count', { to: z.number() }, async ({ to }, ctx) => {
    for (let step = 1; step <= to; step++) await sdk.progress(ctx, { progress: step, total: to, message: `number ${step}` });
    return said('counted');
  });
  tool('ask', { question: z.string() }, async ({ question }, ctx) => {
    const form = { type: 'object', properties: { value: { type: 'string' } }, required: ['value'] };
    return sdk.elicit(server, ctx, { message: question, requestedSchema: form }, (content) => said(content.value));
  });
  tool('think', { about: z.string() }, async ({ about }, ctx) => {
    const messages = [{ role: 'user', content: { type: 'text', text: about } }];
    return sdk.sample(server, ctx, { messages, maxTokens: 10 }, (answer) => said(answer.content.text));
  });
  const grow = () => tool('grown', {}, async () => said('new'));
  if (grown) grow();
  tool('grow', {}, async () => {
    if (!grown) grow();
    grown = true;
    sdk.told();
    return said('grown');
  });
  server.registerResource('hello', 'memo://hello', {}, async (uri) => ({ contents: [{ uri: uri.href, text: 'hello' }] }));
  server.registerPrompt('greet', { argsSchema: sdk.object({ name: z.string() }) }, async ({ name }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}.` } }],
  }));
  return server;
};

// Listens where it is told, and says so: "running on PORT".
exports.listen = (handle) => {
  const server = require('node:http').createServer((request, response) => {
    Promise.resolve(handle(request, response)).catch((error) => { console.error(error); response.destroy(); });
  });
  server.listen(Number(process.argv[3]), '127.0.0.1', () => console.error(`running on ${server.address().port}`));
};
