import MeshCore
import MeshPolicy
import MeshRuntime

/// Has the key sets that the workload's ports need, and keeps them fresh. Workers get parsed sets. Confined to the control loop, so that
/// no request ever waits for an identity provider.
final class KeySetKeeper {
  let loop: Worker
  private let log: ProxyLog
  private let dnsServers: [SocketAddress]
  private var resolver: DNSResolver?
  /// To every worker; nil: no port needs them any more.
  private let publish: (TokenKeySource, TokenKeySet?) -> Void
  private var kept: [TokenKeySource: KeptKeySet] = [:]
  /// Sets that were read or fetched, and that could not be.
  private(set) var succeeded: UInt64 = 0
  private(set) var failed: UInt64 = 0

  init(
    loop: Worker, dnsServers: [SocketAddress], log: ProxyLog, publish: @escaping (TokenKeySource, TokenKeySet?) -> Void
  ) {
    self.loop = loop
    self.dnsServers = dnsServers
    self.log = log
    self.publish = publish
  }

  /// What the workload serves has changed.
  func follow(_ ports: [InboundPort]) {
    let wanted = Set(ports.flatMap { $0.tokens?.issuers ?? [] }.map(\.keys))
    for (source, set) in kept where !wanted.contains(source) {
      set.end()
      kept[source] = nil
      publish(source, nil)
    }
    for source in wanted where kept[source] == nil {
      let set = KeptKeySet(source, keeper: self)
      kept[source] = set
      set.look()
    }
  }

  /// Ordered by source.
  var states: [KeySetState] { kept.values.map(\.state).sorted { $0.source < $1.source } }

  /// A token names a key that the set does not have.
  func refresh(_ source: TokenKeySource) { kept[source]?.refresh() }

  // MARK: - Of sets

  fileprivate func resolve(_ host: String, _ done: @escaping (Result<DNSAnswer, DNSFailure>) -> Void) {
    do throws(DNSFailure) {
      if resolver == nil { resolver = try DNSResolver(loop: loop, servers: dnsServers) }
      resolver?.resolve(host, done)
    } catch {
      done(.failure(error))
    }
  }

  fileprivate func note(_ set: KeptKeySet, news: TokenKeySet?) {
    succeeded &+= 1
    guard let news else { return }
    for reason in news.refused { log.warning("\(set.source.text): \(reason); it verifies nothing") }
    log.info("\(set.source.text): \(news.keys.count) key(s) to verify tokens with")
    publish(set.source, news)
  }

  fileprivate func note(_ set: KeptKeySet, failure: String, isFirst: Bool) {
    failed &+= 1
    // Said when it begins, not each time.
    guard isFirst else { return }
    let rest =
      set.record.keys == nil ? "tokens are answered 503 until there are keys" : "the last good keys stay in use"
    log.error("\(set.source.text): no keys: \(failure); \(rest)")
  }
}

/// The key set of one source.
final class KeptKeySet: TimerHandler {
  let source: TokenKeySource
  fileprivate(set) var record = KeySetRecord()
  private weak let keeper: KeySetKeeper?
  private lazy var timer = LoopTimer(owner: self)
  private var fetch: KeySetFetch?
  private var context: TLSContext?
  /// Of the file, as it was read last.
  private var text: [UInt8] = []
  /// Whose turn it is of a host's addresses.
  private var turn = 0
  /// Unix milliseconds.
  private var failingSince: Int64?
  private var readAt: Int64?

  init(_ source: TokenKeySource, keeper: KeySetKeeper) {
    self.source = source
    self.keeper = keeper
  }

  func timerFired(_ timer: LoopTimer) { look() }

  var state: KeySetState {
    KeySetState(
      source: source.shown, keys: record.keys?.keys.count ?? 0, failure: record.failure, failingSince: failingSince,
      readAt: readAt)
  }

  func end() {
    keeper?.loop.cancel(timer)
    fetch?.cancel()
    fetch = nil
  }

  func refresh() {
    guard let keeper, case .url = source, fetch == nil, record.mayAsk(now: keeper.loop.now) else { return }
    look()
  }

  func look() {
    switch source {
    case .inline(let text): take(Array(text.utf8))
    case .file(let path): readFile(path)
    case .url(let url, let authorities): ask(url, authorities)
    }
  }

  // MARK: - Text and file

  private func take(_ text: [UInt8]) {
    do throws(TokenKeySet.Failure) { settle(.success(.init(keys: try TokenKeySet(text), maxAge: nil))) } catch {
      settle(.failure(error))
    }
  }

  /// Looked at by its content, once a second: a link that is swapped, as a cluster does, tells no watch of the file, and a time of change may be
  /// as coarse as the change is quick.
  private func readFile(_ path: String) {
    defer { if let keeper { keeper.loop.schedule(timer, after: TokenLimits.fileInterval) } }
    guard let new = FileText.read(path).map({ Array($0.utf8) }) else {
      if record.failure == nil { settle(.failure(.init(description: "the file cannot be read"))) }
      text = []
      return
    }
    if new == text { return }
    text = new
    take(new)
  }

  // MARK: - URL

  private func ask(_ text: String, _ authorities: String?) {
    guard let keeper, let url = KeySetURL(text) else { return }
    fetch?.cancel()
    do throws(TLSContextError) {
      if url.isTLS, context == nil { context = try TLSContext(TLSConfiguration(keysFrom: authorities)) }
    } catch {
      return settle(.failure(.init(description: "the authorities cannot be used: \(error)")))
    }
    let fetch = KeySetFetch(url, context, loop: keeper.loop) { [weak self] in self?.settle($0) }
    self.fetch = fetch
    if let address = SocketAddress(url.host, defaultPort: url.port) ?? SocketAddress("[\(url.host)]:\(url.port)") {
      return fetch.connect(to: address)
    }
    keeper.resolve(url.host) { [weak self, weak fetch] result in
      guard let self, let fetch else { return }
      switch result {
      case .success(let answer):
        // Another one of them each time, in case one is down.
        fetch.connect(to: answer.addresses[turn % answer.addresses.count])
        turn += 1
      case .failure(let failure): fetch.fail("the DNS has no answer for \(url.host): \(failure)")
      }
    }
  }

  private func settle(_ result: Result<KeySetFetch.Answer, TokenKeySet.Failure>) {
    guard let keeper else { return }
    fetch = nil
    let wasGood = record.failure == nil
    let next: KeySetRecord.Next
    switch result {
    case .success(let answer):
      next = record.fetched(answer.keys, maxAge: answer.maxAge, &keeper.loop.random)
      (failingSince, readAt) = (nil, WallClock.now)
      keeper.note(self, news: next.isNews ? answer.keys : nil)
    case .failure(let failure):
      next = record.failed(failure.description, &keeper.loop.random)
      failingSince = failingSince ?? WallClock.now
      keeper.note(self, failure: failure.description, isFirst: wasGood)
    }
    if case .url = source { keeper.loop.schedule(timer, after: next.wait) }
  }
}

extension TokenKeySource {
  /// For the log.
  fileprivate var text: String {
    switch self {
    case .inline: "keys in the manifest"
    case .file(let path): path
    case .url(let url, _): url
    }
  }

  /// For pages and metrics.
  fileprivate var shown: String { String(text.prefix { $0 != "?" }) }
}

extension TLSConfiguration {
  /// To a server that has keys. Without authorities it is judged by the machine's.
  fileprivate init(keysFrom authorities: String?) {
    self.init(
      role: .client, key: nil, trustAnchorsPEM: authorities.map { Array($0.utf8) } ?? [], protocols: ["http/1.1"])
    trustsSystem = authorities == nil
    minimumVersion = .tls12
    requiresWorkloadIdentity = false
    requiresProtocol = false
  }
}

extension ControlThread {
  func makeKeySets() -> KeySetKeeper {
    let workers = workers
    return KeySetKeeper(loop: loop, dnsServers: options.dnsServers, log: log) { source, set in
      for handle in workers { handle.post { $0.tokens.take(set, of: source) } }
    }
  }
}
