// E2B's published packages against a Brig server: sandboxes, and code in them.
// E2B_API_URL, E2B_SANDBOX_URL and E2B_API_KEY name the server.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Sandbox as CodeSandbox } from '@e2b/code-interpreter'
import { NotFoundError, RateLimitError, Sandbox, SandboxError, SandboxNotFoundError, TimeoutError, Volume } from 'e2b'

const made = []

// make creates a sandbox that the end of the tests removes.
async function make(opts = {}, kind = Sandbox) {
  const sandbox = await kind.create({ timeoutMs: 300_000, ...opts })
  made.push(sandbox)
  return sandbox
}

after(() => Promise.all(made.map((s) => s.kill().catch(() => {}))))

// listed gives all pages of a list.
async function listed(paginator) {
  const all = []
  while (paginator.hasNext) all.push(...(await paginator.nextItems()))
  return all
}

// The package leaves a timer of this length behind each cell that is refused, and the
// test lasts until it is over.
const brief = { requestTimeoutMs: 2000 }

const left = async (s) => ((await s.getInfo()).endAt - Date.now()) / 1000

test('create, connect, info, timeout, kill', async () => {
  const sandbox = await make({ metadata: { user: 'a b&c=d', n: '1' }, envs: { GREETING: 'grüße' } })
  const info = await sandbox.getInfo()
  assert.equal(info.sandboxId, sandbox.sandboxId)
  assert.equal(info.state, 'running')
  assert.deepEqual(info.metadata, { user: 'a b&c=d', n: '1' })
  assert.deepEqual(info.lifecycle, { onTimeout: 'kill', autoResume: false })
  assert.ok(info.cpuCount >= 1 && info.memoryMB > 0 && info.startedAt <= new Date())
  assert.equal(await sandbox.isRunning(), true)
  assert.match(sandbox.getHost(3000), new RegExp(`^3000-${sandbox.sandboxId}\\.`))

  const same = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 10_000 })
  assert.equal(same.sandboxId, sandbox.sandboxId)
  assert.ok((await left(sandbox)) > 200, 'connect made its time shorter')
  assert.equal((await same.commands.run('echo $GREETING')).stdout, 'grüße\n')
  await sandbox.setTimeout(60_000)
  assert.ok((await left(sandbox)) <= 60)
  await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 600_000 })
  assert.ok((await left(sandbox)) > 500, 'connect did not make its time longer')

  assert.equal(await sandbox.kill(), true)
  assert.equal(await sandbox.kill(), false)
  assert.equal(await Sandbox.kill('nothing'), false)
  assert.equal(await sandbox.isRunning(), false)
  await assert.rejects(Sandbox.connect(sandbox.sandboxId), SandboxNotFoundError)
  await assert.rejects(sandbox.getInfo(), SandboxNotFoundError)
  await assert.rejects(sandbox.setTimeout(1000), SandboxNotFoundError)
  await assert.rejects(sandbox.commands.run('true'), SandboxNotFoundError)
})

test('a sandbox ends at its timeout', async () => {
  const sandbox = await make({ timeoutMs: 1000 })
  for (const deadline = Date.now() + 30_000; await sandbox.isRunning(); ) assert.ok(Date.now() < deadline, 'it lives on')
  assert.equal(await sandbox.kill(), false)
})

test('list: pages, states, metadata', async () => {
  const run = crypto.randomUUID()
  const metadata = { run, 'odd key': 'a&b=c %20+€' }
  const sandboxes = [await make({ metadata }), await make({ metadata }), await make({ metadata })]
  const ids = (list) => list.map((s) => s.sandboxId).sort()
  const wanted = ids(sandboxes)
  assert.deepEqual(ids(await listed(Sandbox.list({ limit: 2, query: { metadata } }))), wanted)
  assert.deepEqual(await listed(Sandbox.list({ query: { metadata: { run, 'odd key': 'other' } } })), [])
  await sandboxes[0].pause()
  assert.deepEqual(ids(await listed(Sandbox.list({ query: { metadata, state: ['paused'] } }))), [sandboxes[0].sandboxId])
  assert.deepEqual(ids(await listed(Sandbox.list({ query: { metadata, state: ['running', 'paused'] } }))), wanted)
  await Promise.all(sandboxes.map((s) => s.kill()))
})

test('pause and resume keep files, programs and variables', async () => {
  const sandbox = await make({}, CodeSandbox)
  await sandbox.files.write('kept.txt', 'kept')
  await sandbox.runCode('x = 41')
  const tick = await sandbox.commands.run('while true; do date +%s%N > /tmp/tick; sleep 0.1; done', { background: true, timeoutMs: 0 })
  assert.equal(await sandbox.pause(), true)
  assert.equal(await sandbox.pause(), false)
  assert.equal((await sandbox.getInfo()).state, 'paused')
  assert.equal(await sandbox.isRunning(), false)
  await tick.disconnect().catch(() => {})

  await sandbox.connect({ timeoutMs: 120_000 })
  assert.equal((await sandbox.getInfo()).state, 'running')
  assert.ok((await left(sandbox)) <= 120)
  assert.equal(await sandbox.files.read('kept.txt'), 'kept')
  assert.equal((await sandbox.runCode('x + 1')).text, '42')
  const before = await sandbox.files.read('/tmp/tick')
  const later = await sandbox.commands.run(`until [ "$(cat /tmp/tick)" != "${before.trim()}" ]; do sleep 0.05; done; echo ticks`)
  assert.equal(later.stdout, 'ticks\n')
  await sandbox.kill()
})

test('pause at the end, and traffic that wakes', async () => {
  const sandbox = await make({ timeoutMs: 1000, lifecycle: { onTimeout: 'pause', autoResume: true } })
  await sandbox.files.write('kept.txt', 'kept')
  for (const deadline = Date.now() + 60_000; (await sandbox.getInfo()).state !== 'paused'; ) assert.ok(Date.now() < deadline, 'it never paused')
  assert.equal(await sandbox.files.read('kept.txt'), 'kept')
  await sandbox.kill()
})

test('snapshots and forks', async () => {
  const sandbox = await make({ metadata: { generation: 'first' } })
  await sandbox.files.write('kept.txt', 'kept')
  const snapshot = await sandbox.createSnapshot({ name: 'moment' })
  assert.deepEqual(snapshot.names, ['moment'])
  assert.deepEqual(await listed(sandbox.listSnapshots()), [snapshot])
  const copy = await make({ template: snapshot.snapshotId })
  assert.equal(await copy.files.read('kept.txt'), 'kept')
  assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId), true)
  assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId), false)
  await assert.rejects(Sandbox.create(snapshot.snapshotId), SandboxError)

  const children = await sandbox.fork({ count: 2, timeoutMs: 60_000 })
  made.push(...children)
  await Promise.all(children.map((c, i) => c.files.write('kept.txt', `child ${i}`)))
  assert.deepEqual(await Promise.all([sandbox, ...children].map((s) => s.files.read('kept.txt'))), ['kept', 'child 0', 'child 1'])
  await assert.rejects(Sandbox.fork('nothing'), NotFoundError)
  await Promise.all([sandbox, copy, ...children].map((s) => s.kill()))
})

test('signed URLs', async () => {
  const sandbox = await make()
  const form = new FormData()
  form.append('file', new Blob(['by URL']), 'ignored.txt')
  const up = await fetch(await sandbox.uploadUrl('up.txt', { useSignatureExpiration: 60 }), { method: 'POST', body: form })
  assert.equal(up.status, 200, await up.text())
  const url = await sandbox.downloadUrl('up.txt')
  assert.equal(await (await fetch(url)).text(), 'by URL')
  assert.equal((await fetch(url.replace('up.txt', '%2Fetc%2Fpasswd'))).status, 401)
  assert.equal((await fetch(url, { method: 'POST', body: form })).status, 401)
  await sandbox.kill()
})

test('network', async () => {
  const sandbox = await make() // nothing is open unless somebody opens it
  const reach = `timeout 20 python3 -c "import socket; socket.create_connection(('192.0.2.1', 80), 5)"`
  assert.match((await sandbox.commands.run(reach).catch((e) => e)).stderr, /refused|unreachable|Error/)
  await sandbox.updateNetwork({ allowOut: ['192.0.2.0/24', 'packages.example.com'], denyOut: ['0.0.0.0/0'] })
  assert.deepEqual((await sandbox.getInfo()).network.allowOut, ['192.0.2.0/24', 'packages.example.com'])
  await sandbox.updateNetwork({ allowOut: ['packages.example.com'] })
  await assert.rejects(sandbox.updateNetwork({ allowOut: ['10.0.0.1'] }), SandboxError)
  await assert.rejects(sandbox.updateNetwork({ rules: { 'a.example': [{ transform: { headers: { a: 'b' } } }] } }), SandboxError)
  await sandbox.kill()
})

test('metrics', async () => {
  const sandbox = await make()
  const [point] = await sandbox.getMetrics()
  assert.ok(point.memTotal > point.memUsed && point.memUsed > 0 && point.cpuCount >= 1 && point.timestamp <= new Date())
  await sandbox.kill()
})

test('what the server has not, it says', async () => {
  await assert.rejects(Volume.create('v'), /not part of this server/)
  await assert.rejects(Sandbox.create({ mcp: { github: {} } }), /not part of this server/)
  await assert.rejects(Sandbox.create('no-such-template'), /no-such-template/)
  await assert.rejects(Sandbox.create({ apiKey: 'e2b_0000' }), { name: 'AuthenticationError' })
})

test('runCode: values, output, errors', async () => {
  const sandbox = await make({ envs: { FOO: 'bar' } }, CodeSandbox)
  let seen = ''
  const first = await sandbox.runCode('import sys\nprint("grün €😀" * 3)\nprint("bad", file=sys.stderr)\nx = 20\nx + 1', {
    onStdout: (o) => (seen += o.line),
  })
  assert.equal(first.text, '21')
  assert.equal(first.logs.stdout.join(''), 'grün €😀grün €😀grün €😀\n')
  assert.equal(seen, first.logs.stdout.join(''))
  assert.equal(first.logs.stderr.join(''), 'bad\n')
  assert.equal(first.error, undefined)
  assert.equal((await sandbox.runCode('x += 1; x')).text, '21')
  assert.equal((await sandbox.runCode("'text'")).text, 'text')
  assert.equal((await sandbox.runCode('import os; os.environ["FOO"]')).text, 'bar')
  assert.equal((await sandbox.runCode('os.environ["FOO"]', { envs: { FOO: 'other' } })).text, 'other')
  assert.equal((await sandbox.runCode('os.environ["FOO"]')).text, 'bar')
  await sandbox.files.write('beside.txt', 'beside')
  assert.equal((await sandbox.runCode('open("beside.txt").read()')).text, 'beside')

  const failed = await sandbox.runCode('1/0')
  assert.equal(failed.error.name, 'ZeroDivisionError')
  assert.match(failed.error.traceback, /1\/0/)
  const big = await sandbox.runCode('print("é" * 300_000)')
  assert.equal(big.logs.stdout.join(''), 'é'.repeat(300_000) + '\n')
  await assert.rejects(sandbox.runCode('1', { language: 'r', ...brief }), /501/)
  await sandbox.kill()
})

// What needs IPython, matplotlib and Node.js inside.
const rich = process.env.BRIG_CODE_INTERPRETER ? {} : { skip: 'the server has no template code-interpreter' }

test('runCode: rich results, JavaScript', rich, async () => {
  const sandbox = await make({}, CodeSandbox)
  const shown = await sandbox.runCode('from IPython.display import display, HTML, JSON\ndisplay(HTML("<b>x</b>"))\ndisplay(JSON({"a": [1, "é"]}))')
  assert.equal(shown.results[0].html, '<b>x</b>')
  assert.deepEqual(shown.results[1].json, { a: [1, 'é'] })
  const plotted = await sandbox.runCode('import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()')
  assert.equal(Buffer.from(plotted.results.find((r) => r.png).png, 'base64').subarray(1, 4).toString(), 'PNG')
  assert.equal((await sandbox.runCode('const a = [1, 2]; a.map((n) => n * 2).join()', { language: 'js' })).text, '2,4')
  await sandbox.kill()
})

test('contexts', async () => {
  const sandbox = await make({}, CodeSandbox)
  const context = await sandbox.createCodeContext({ cwd: '/tmp' })
  assert.equal(context.cwd, '/tmp')
  await sandbox.runCode('x = 1', { context })
  assert.equal((await sandbox.runCode('import os; os.getcwd()', { context })).text, '/tmp')
  assert.equal((await sandbox.runCode('x')).error.name, 'NameError')
  const languages = (await sandbox.listCodeContexts()).map((c) => c.language)
  assert.ok(languages.includes('python') && languages.includes('javascript') && languages.length === 3)
  await sandbox.restartCodeContext(context)
  assert.equal((await sandbox.runCode('x', { context })).error.name, 'NameError')
  await sandbox.removeCodeContext(context)
  await assert.rejects(sandbox.runCode('1', { context, ...brief }), NotFoundError)
  await sandbox.kill()
})

test('a cell that takes too long is interrupted, and its context goes on', async () => {
  const sandbox = await make({}, CodeSandbox)
  await sandbox.runCode('x = 1')
  await assert.rejects(sandbox.runCode('while True: pass', { timeoutMs: 1000 }), TimeoutError)
  assert.equal((await sandbox.runCode('x')).text, '1')
  await sandbox.kill()
  await assert.rejects(sandbox.runCode('x', brief), TimeoutError)
})
