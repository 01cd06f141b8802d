import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime

/// One GET of a key set over HTTP/1.1, over TLS with verification where the URL says https. Confined to the control loop.
///
/// The server is a stranger: redirects are not followed, the answer has `TokenLimits.keySetBytes` at most and everything together
/// `TokenLimits.fetchTimeout`.
final class KeySetFetch: ConnectionHandler, TimerHandler {
  struct Answer {
    var keys: TokenKeySet
    /// Nil: the server does not say.
    var maxAge: TimeSpan?
  }

  private let loop: Worker
  private let url: KeySetURL
  /// Nil for http.
  private let context: TLSContext?
  private var done: ((Result<Answer, TokenKeySet.Failure>) -> Void)?
  private var connection: Connection?
  private var decoder = HTTP1Decoder(role: .response)
  private let head = MessageHead()
  private let trailers = MessageHead(capacity: 64)
  private var body: [UInt8] = []
  private var isHeadDone = false
  private lazy var timer = LoopTimer(owner: self)

  /// `done` is called once, unless the fetch is cancelled.
  init(
    _ url: KeySetURL, _ context: TLSContext?, loop: Worker,
    done: @escaping (Result<Answer, TokenKeySet.Failure>) -> Void
  ) {
    self.url = url
    self.context = context
    self.loop = loop
    self.done = done
    decoder.expectResponse(to: .get)
    loop.schedule(timer, after: TokenLimits.fetchTimeout)
  }

  func connect(to address: SocketAddress) {
    guard done != nil else { return }
    var address = address
    address.port = url.port
    let names = ServerNames(hosts: [url.host])
    let isAddress = SocketAddress(url.host, defaultPort: 1) != nil || url.host.contains(":")
    let tls = context.map { TLSClient(context: $0, expectedNames: names, serverName: isAddress ? nil : url.host) }
    connection = loop.connect(to: address, timeout: TokenLimits.fetchTimeout, tls: tls, handler: self)
  }

  func fail(_ reason: String) { finish(.failure(.init(description: reason))) }

  func cancel() {
    done = nil
    end()
  }

  func timerFired(_ timer: LoopTimer) { fail("no whole answer within \(Int(TokenLimits.fetchTimeout.inSeconds)) s") }

  private func finish(_ result: Result<Answer, TokenKeySet.Failure>) {
    guard let done else { return }
    self.done = nil
    end()
    done(result)
  }

  private func end() {
    loop.cancel(timer)
    if let connection, connection.isOpen { connection.abort() }
    connection = nil
  }

  // MARK: - ConnectionHandler

  func connectionOpened(_ connection: Connection) {
    // Nothing of the URL can end a line: `KeySetURL` has seen to that.
    connection.output.append(
      string: """
        GET \(url.target) HTTP/1.1\r
        Host: \(url.authority)\r
        User-Agent: apus-proxy\r
        Accept: application/jwk-set+json, application/json\r
        Connection: close\r
        \r

        """)
    connection.flushSoon()
  }

  func connectionReceived(_ connection: Connection) {
    while done != nil, connection.isOpen {
      let (event, consumed) = decoder.next(connection.input.readable, head: head, trailers: trailers)
      let goesOn = take(event)
      guard done != nil, connection.isOpen else { return }
      connection.consume(consumed)
      guard goesOn else { return }
    }
  }

  func connectionReachedEnd(_ connection: Connection) {
    _ = take(decoder.endOfInput())
    fail("the connection ended before the answer")
  }

  func connectionDrained(_ connection: Connection) {}

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    if connection === self.connection { fail("\(reason)") }
  }

  // MARK: - The answer

  /// False: nothing more can be read now.
  private func take(_ event: HTTP1Decoder.Event) -> Bool {
    switch event {
    case .needMore: return false
    case .informational, .trailers: return true
    case .head:
      isHeadDone = true
      guard head.status == 200 else {
        fail("status \(head.status)" + ((300..<400).contains(head.status) ? "; redirects are not followed" : ""))
        return false
      }
      return true
    case .body(let bytes):
      guard body.count + bytes.count <= TokenLimits.keySetBytes else {
        fail("the answer has more than \(TokenLimits.keySetBytes) bytes")
        return false
      }
      body += bytes
      return true
    case .end:
      finish(whole())
      return false
    case .failure(let error):
      fail("the answer is not HTTP: \(error.reason)")
      return false
    }
  }

  private func whole() -> Result<Answer, TokenKeySet.Failure> {
    guard isHeadDone else { return .failure(.init(description: "the connection ended before the answer")) }
    do throws(TokenKeySet.Failure) {
      return .success(
        Answer(keys: try TokenKeySet(body), maxAge: head.value(.cacheControl).flatMap(CacheControl.maxAge)))
    } catch {
      return .failure(error)
    }
  }
}
