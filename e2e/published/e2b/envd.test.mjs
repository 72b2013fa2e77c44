// E2B's published client against `brig serve`: commands, files, terminals. The
// server is found as E2B's documentation says: E2B_API_URL, E2B_SANDBOX_URL, E2B_API_KEY.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'

import { CommandExitError, NotFoundError, Sandbox, TimeoutError } from 'e2b'

const template = process.env.BRIG_TEMPLATE ?? 'python'
let sandbox

before(async () => {
  sandbox = await Sandbox.create(template, { timeoutMs: 600_000, envs: { GIVEN: 'at creation' } })
})

after(() => sandbox?.kill())

const sha256 = (data) => createHash('sha256').update(data).digest('hex')

// eventually waits for what happens by itself.
async function eventually(what, is) {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((wake) => setTimeout(wake, 20))) {
    if (await is()) return
  }
  assert.fail(`it did not happen: ${what}`)
}

// sleeping are the arguments of all sleep(1) inside.
async function sleeping() {
  const { stdout } = await sandbox.commands.run(`for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done 2>/dev/null`)
  return [...stdout.matchAll(/^sleep (\S+) $/gm)].map((m) => m[1]).sort()
}

test('a command in the foreground', async () => {
  const result = await sandbox.commands.run('echo out; echo err >&2')
  assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['out\n', 'err\n', 0])
  await assert.rejects(sandbox.commands.run('echo before; exit 3'), (err) => {
    assert.ok(err instanceof CommandExitError)
    assert.deepEqual([err.exitCode, err.stdout], [3, 'before\n'])
    return true
  })
})

test('where a command runs, and as whom', async () => {
  const { stdout } = await sandbox.commands.run('echo $(whoami) $(pwd) $HOME $USER $LOGNAME $GIVEN')
  assert.equal(stdout, 'user /home/user /home/user user user at creation\n')
  const root = await sandbox.commands.run('echo $(id -u) $(pwd) $HOME', { user: 'root' })
  assert.equal(root.stdout, '0 /root /root\n')
  const own = await sandbox.commands.run('echo $(pwd) $A', { cwd: '/tmp', envs: { A: 'b' } })
  assert.equal(own.stdout, '/tmp b\n')
  await assert.rejects(sandbox.commands.run('true', { cwd: '/no/such/place' }), /cwd/)
  const nobody = await sandbox.commands.run('echo $(id -u) $(id -g) $HOME', { user: 'nobody' })
  assert.equal(nobody.stdout, '65534 65534 /\n')
  await assert.rejects(sandbox.commands.run('true', { user: 'eve' }), /user/)
  await sandbox.files.write('/root/deep/own.txt', 'x', { user: 'root' })
  assert.equal((await sandbox.files.getInfo('/root/deep/own.txt')).owner, 'root')
  assert.equal((await sandbox.files.getInfo('/root/deep')).owner, 'root')
})

test('what a shell leaves in the background goes on printing', async () => {
  await sandbox.commands.run('(until [ -e /tmp/go ]; do sleep 0.05; done; head -c 1000000 /dev/zero; echo $? > /tmp/printed) &')
  await sandbox.files.write('/tmp/go', '')
  await eventually('it printed', () => sandbox.files.exists('/tmp/printed'))
  assert.equal((await sandbox.commands.run('cat /tmp/printed')).stdout, '0\n')
})

test('a command in the background, its output as it comes, its stdin', async () => {
  let seen = ''
  const command = await sandbox.commands.run('while read line; do echo "got $line"; done; echo end', {
    background: true, stdin: true, onStdout: (data) => { seen += data },
  })
  await sandbox.commands.sendStdin(command.pid, 'one\n')
  await eventually('the first line is echoed', () => seen === 'got one\n')
  const listed = (await sandbox.commands.list()).find((p) => p.pid === command.pid)
  assert.equal(listed.cmd, '/bin/bash')
  assert.deepEqual(listed.args.slice(0, 2), ['-l', '-c'])
  await sandbox.commands.sendStdin(command.pid, 'two\n')
  await sandbox.commands.closeStdin(command.pid)
  assert.equal((await command.wait()).stdout, 'got one\ngot two\nend\n')
  assert.equal((await sandbox.commands.list()).length, 0)
})

test('kill ends grandchildren too', async () => {
  const command = await sandbox.commands.run(
    '(sleep 7001 & setsid sleep 7002 & nohup sh -c "sleep 7003; true" >/dev/null 2>&1 &); echo started; sleep 7004', { background: true })
  await eventually('all are there', async () => `${await sleeping()}` === '7001,7002,7003,7004')
  assert.equal(await command.kill(), true)
  assert.deepEqual(await sleeping(), [])
  await assert.rejects(command.wait(), CommandExitError)
  assert.equal(await sandbox.commands.kill(command.pid), false)
})

test('the timeout of a command ends it with what it started', async () => {
  await assert.rejects(sandbox.commands.run('sleep 7101 & sleep 7102', { timeoutMs: 700 }), TimeoutError)
  await eventually('both are gone', async () => (await sleeping()).length === 0)
})

test('64 commands at once', async () => {
  const results = await Promise.all(Array.from({ length: 64 }, (_, i) => sandbox.commands.run(`sleep 0.3; echo ${i}`)))
  results.forEach((result, i) => assert.equal(result.stdout, `${i}\n`))
})

const lines = (n) => Array.from({ length: n }, (_, i) => `line ${i + 1}\n`).join('')

test('a command that prints 50 MB', async () => {
  const n = 4_000_000
  const result = await sandbox.commands.run(`seq -f 'line %.0f' 1 ${n}`, { timeoutMs: 0 })
  assert.ok(result.stdout.length > 50e6)
  assert.equal(sha256(result.stdout), sha256(lines(n)))
})

test('reconnecting in mid-stream loses nothing', async () => {
  const n = 1_000_000
  let seen = 0
  const first = await sandbox.commands.run(`seq -f 'line %.0f' 1 ${n}; read go; echo end`, {
    background: true, stdin: true, timeoutMs: 0, onStdout: (data) => { seen += data.length },
  })
  await eventually('some output', () => seen > 0)
  await first.disconnect()
  const second = await sandbox.commands.connect(first.pid, { timeoutMs: 0 })
  await sandbox.commands.sendStdin(first.pid, 'go\n')
  assert.equal(sha256((await second.wait()).stdout), sha256(lines(n) + 'end\n'))
  const late = await sandbox.commands.connect(first.pid)
  assert.equal(sha256((await late.wait()).stdout), sha256(lines(n) + 'end\n'))
})

test('files of every kind of content', async () => {
  const written = await sandbox.files.write('notes/today.txt', 'héllo\n')
  assert.equal(written.path, '/home/user/notes/today.txt')
  assert.equal(await sandbox.files.read('notes/today.txt'), 'héllo\n')
  assert.equal((await sandbox.commands.run('cat ~/notes/today.txt; stat -c %U ~/notes')).stdout, 'héllo\nuser\n')
  await sandbox.files.write('/tmp/empty', '')
  assert.equal(await sandbox.files.read('/tmp/empty'), '')
  const many = await sandbox.files.write([{ path: '/tmp/many/a', data: 'a' }, { path: '/tmp/many/b c', data: new Blob(['b']) }])
  assert.deepEqual(many.map((f) => f.path), ['/tmp/many/a', '/tmp/many/b c'])
  await sandbox.files.write('/tmp/zipped', 'z'.repeat(100_000), { gzip: true })
  assert.equal(await sandbox.files.read('/tmp/zipped', { gzip: true }), 'z'.repeat(100_000))
  await sandbox.files.write('/tmp/stream', new Blob([lines(1000)]).stream())
  let streamed = ''
  for await (const chunk of await sandbox.files.read('/tmp/stream', { format: 'stream' })) streamed += Buffer.from(chunk).toString()
  assert.equal(streamed, lines(1000))
  await assert.rejects(sandbox.files.read('/tmp/nothing'), NotFoundError)
})

test('a file of 100 MB each way', async () => {
  const data = randomBytes(100e6)
  await sandbox.files.write('/tmp/large', new Blob([data]))
  assert.match((await sandbox.commands.run('sha256sum /tmp/large')).stdout, new RegExp(sha256(data)))
  assert.equal(sha256(await sandbox.files.read('/tmp/large', { format: 'bytes' })), sha256(data))
  await sandbox.files.remove('/tmp/large')
})

test('directories', async () => {
  assert.equal(await sandbox.files.makeDir('/tmp/tree/deep'), true)
  assert.equal(await sandbox.files.makeDir('/tmp/tree/deep'), false)
  await sandbox.files.write('/tmp/tree/deep/file', '12345')
  await sandbox.commands.run('ln -s deep /tmp/tree/link; ln -s nowhere /tmp/tree/broken; chmod 640 /tmp/tree/deep/file')
  const names = async (depth) => (await sandbox.files.list('/tmp/tree', { depth })).map((e) => `${e.path} ${e.type}`).sort()
  assert.deepEqual(await names(1), ['/tmp/tree/broken symlink', '/tmp/tree/deep dir', '/tmp/tree/link dir'])
  assert.ok((await names(2)).includes('/tmp/tree/deep/file file'))
  const info = await sandbox.files.getInfo('/tmp/tree/deep/file')
  assert.deepEqual(
    [info.name, info.type, info.size, info.mode, info.permissions, info.owner, info.group],
    ['file', 'file', 5, 0o640, '-rw-r-----', 'user', 'user'])
  assert.ok(Math.abs(info.modifiedTime - Date.now()) < 3600_000)
  assert.equal((await sandbox.files.getInfo('/tmp/tree/link')).symlinkTarget, '/tmp/tree/deep')
  assert.equal((await sandbox.files.rename('/tmp/tree/deep/file', '/tmp/tree/new/name')).path, '/tmp/tree/new/name')
  assert.equal(await sandbox.files.exists('/tmp/tree/deep/file'), false)
  assert.equal(await sandbox.files.exists('/tmp/tree/new/name'), true)
  await sandbox.files.remove('/tmp/tree')
  await sandbox.files.remove('/tmp/tree')
  assert.equal(await sandbox.files.exists('/tmp/tree'), false)
  await assert.rejects(sandbox.files.list('/tmp/tree'), NotFoundError)
})

test('watching a directory', async () => {
  await sandbox.files.makeDir('/tmp/watched/sub')
  const events = []
  const handle = await sandbox.files.watchDir('/tmp/watched', (e) => { events.push(`${e.type} ${e.name}`) }, { recursive: true, timeoutMs: 0 })
  await sandbox.files.write('/tmp/watched/file', 'x')
  await sandbox.files.write('/tmp/watched/sub/file', 'x')
  await sandbox.commands.run('chmod 600 /tmp/watched/file; mv /tmp/watched/file /tmp/watched/moved; rm /tmp/watched/moved')
  const wanted = ['create file', 'write file', 'create sub/file', 'chmod file', 'rename file', 'create moved', 'remove moved']
  await eventually(`${wanted}`, () => wanted.every((e) => events.includes(e)))
  await handle.stop()
})

test('a terminal', async () => {
  let screen = ''
  const pty = await sandbox.pty.create({ rows: 30, cols: 90, onData: (data) => { screen += Buffer.from(data).toString() }, timeoutMs: 0 })
  const type = (text) => sandbox.pty.sendInput(pty.pid, Buffer.from(text))
  await type('stty size; echo $TERM; tty\n')
  await eventually('the size', () => /30 90/.test(screen) && /xterm-256color/.test(screen) && /\/dev\/pts/.test(screen))
  await sandbox.pty.resize(pty.pid, { rows: 40, cols: 100 })
  await type('stty size\n')
  await eventually('the new size', () => /40 100/.test(screen))
  await pty.disconnect()
  let again = ''
  const back = await sandbox.pty.connect(pty.pid, { onData: (data) => { again += Buffer.from(data).toString() } })
  await type('echo $((6 * 7))\n')
  await eventually('the answer', () => /42\r\n/.test(again))
  await type('exit 5\n')
  await assert.rejects(back.wait(), (err) => err instanceof CommandExitError && err.exitCode === 5)
  const other = await sandbox.pty.create({ rows: 10, cols: 10, onData: () => {} })
  assert.equal(await sandbox.pty.kill(other.pid), true)
})

test('a command goes on after a pause, and its reader reads on', async () => {
  const other = await Sandbox.create(template, { timeoutMs: 120_000 })
  let seen = ''
  const command = await other.commands.run('while read line; do echo "got $line"; done', {
    background: true, stdin: true, timeoutMs: 0, onStdout: (data) => { seen += data },
  })
  await other.commands.sendStdin(command.pid, 'one\n')
  await eventually('the first line', () => seen === 'got one\n')
  await other.pause()
  assert.equal(await other.isRunning(), false)
  await other.connect()
  assert.ok((await other.commands.list()).some((p) => p.pid === command.pid))
  await other.commands.sendStdin(command.pid, 'two\n')
  await eventually('the second line', () => seen === 'got one\ngot two\n')
  const again = await other.commands.connect(command.pid)
  assert.equal(await again.kill(), true)
  await assert.rejects(command.wait(), CommandExitError)
  await other.kill()
})

test('what was killed is gone', async () => {
  const short = await Sandbox.create(template, { timeoutMs: 60_000 })
  const command = await short.commands.run('sleep 1000', { background: true })
  assert.equal(await short.isRunning(), true)
  await short.kill()
  await assert.rejects(command.wait(), TimeoutError)
  assert.equal(await short.isRunning(), false)
  await assert.rejects(short.files.read('/etc/hostname'), TimeoutError)
})
