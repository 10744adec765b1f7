// A minimal pipe: each request goes upstream over kept-alive connections, bodies are piped, upgrades are joined.
// UPSTREAM: its URL; PROXY: a CONNECT proxy's URL, for https only; CA_FILE: whom to trust. Says its port when it listens.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'

const upstream = new URL(process.env.UPSTREAM)
const { hostname: host, port } = upstream
const ca = process.env.CA_FILE && readFileSync(process.env.CA_FILE)
const client = upstream.protocol === 'https:' ? https : http
const agent = new client.Agent({ keepAlive: true, ca })

if (process.env.PROXY) {
  const proxy = new URL(process.env.PROXY)
  const secure = agent.createConnection.bind(agent)  // tls.connect, and it resumes sessions
  agent.createConnection = (options, done) => {
    const asked = http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: upstream.host, agent: false })
    asked.on('error', done).on('connect', (answer, socket) => {
      if (answer.statusCode !== 200) return done(new Error(`CONNECT: ${answer.statusCode}`))
      const secured = secure({ ...options, socket, servername: host })
      secured.once('error', done).once('secureConnect', () => done(null, secured.off('error', done)))
    }).end()
  }
}

const ask = ({ method, url, headers }) =>
  client.request({ host, port, method, path: url, headers: { ...headers, host: upstream.host }, agent })

const server = http.createServer((request, response) => {
  const asked = ask(request)
  asked.on('error', () => response.headersSent ? response.destroy() : response.writeHead(502).end())
  asked.on('response', answer => answer.pipe(response.writeHead(answer.statusCode, answer.rawHeaders)))
  response.on('close', () => asked.destroy())
  request.pipe(asked)
})

server.on('upgrade', (request, socket, head) => {
  const asked = ask(request)
  asked.on('error', () => socket.destroy())
  asked.on('response', answer => socket.end(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nconnection: close\r\n\r\n`))
  asked.on('upgrade', ({ rawHeaders: raw }, far, first) => {
    const lines = raw.flatMap((name, at) => at % 2 ? [] : [`${name}: ${raw[at + 1]}\r\n`])
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`)
    socket.write(first)
    far.write(head)
    far.on('error', () => socket.destroy()).on('close', () => socket.destroy()).pipe(socket)
    socket.on('error', () => far.destroy()).on('close', () => far.destroy()).pipe(far)
  })
  asked.end()
})

server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`))
