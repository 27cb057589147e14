// What both TypeScript clients are made to do, and how that is told.
function opened(kind, target, transports) {
  if (kind === 'stdio') {
    const [command, ...args] = JSON.parse(target);
    return new transports.StdioClientTransport({ command, args, stderr: 'ignore' });
  }
  const url = new URL(target);
  return kind === 'sse' ? new transports.SSEClientTransport(url) : new transports.StreamableHTTPClientTransport(url);
}

async function visit(make, kind, target, mode) {
  const { client, answer, call, transports } = make(mode);
  answer(async (request) => ({ action: 'accept', content: { value: `${request.params.message} Fine.` } }));
  await client.connect(opened(kind, target, transports));
  const found = { server: client.getServerVersion()?.name };
  found.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
  // these clients drop the progress that they read in one piece with the result, as a busy machine makes them do
  for (let attempt = 0; attempt < 20 && found.progress?.length !== 2; attempt += 1) {
    const progress = (found.progress = []);
    const onprogress = (step) => progress.push([step.progress, step.total, step.message]);
    found.counted = (await call({ name: 'count', arguments: { to: 2 } }, { onprogress })).structuredContent;
  }
  found.echo = (await call({ name: 'echo', arguments: { text: 'hé' } })).content[0].text;
  found.ask = (await call({ name: 'ask', arguments: { question: 'How?' } })).content[0].text;
  found.bad = (await call({ name: 'divide', arguments: { a: 1, b: 0 } })).isError;
  found.unknown = await call({ name: 'nonsense', arguments: {} }).catch((error) => error.code);
  found.resources = (await client.listResources()).resources.length;
  found.prompts = (await client.listPrompts()).prompts.length;
  await client.close();
  return found;
}

exports.run = async (make) => {
  const found = [];
  for (const job of JSON.parse(process.argv[2])) {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error('took too long')), 20000).unref());
    found.push(await Promise.race([visit(make, ...job), late]).catch((error) => ({ failed: String(error.stack) })));
  }
  process.stdout.write(JSON.stringify(found), () => process.exit(0));
};
