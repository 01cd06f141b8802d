import MeshCore
import MeshHTTP
import Testing

@Suite struct HTTP2EnduranceTests {
  @Test("1000 streams one after the other leave no record behind")
  func sequential() throws {
    let (client, server) = (Peer(.client), Peer(.server))
    settle(client, server)
    server.onEvent = { peer, event in
      if case .head(let id, _) = event { peer.engine.sendHead(okHead, on: id, endStream: true) }
    }
    for _ in 0..<1000 {
      let id = try #require(client.engine.openStream())
      client.engine.sendHead(getHead, on: id, endStream: true)
      settle(client, server)
    }
    #expect(client.log.filter { $0.hasPrefix("head") }.count == 1000)
    #expect(client.engine.activeStreamCount == 0 && server.engine.activeStreamCount == 0)
    #expect(client.engine.streamCapacity == 4 && server.engine.streamCapacity == 4)
  }

  @Test(
    "random exchanges in random pieces end with every byte where it belongs", arguments: 1...12 as ClosedRange<UInt64>)
  func random(_ seed: UInt64) {
    let exchange = RandomExchange(seed: seed)
    exchange.run()
    #expect(exchange.isComplete, "seed \(seed): \(exchange.client.log.suffix(3)) \(exchange.server.log.suffix(3))")
  }
}

/// Streams of random size echoed by the server, cut into random pieces on the way. The seed decides everything.
final class RandomExchange {
  let client: Peer
  let server: Peer
  private var random: SeededRandom
  private var wanted: [UInt32: [UInt8]] = [:]
  private var pending: [String: (bytes: [UInt8], at: Int, ends: Bool)] = [:]
  private var wire = (toServer: [UInt8](), toClient: [UInt8]())

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    var settings = HTTP2Settings()
    settings.initialWindowSize = UInt32(1 + random.next(below: 90_000))
    client = Peer(.client, settings: settings, connectionWindow: 70_000)
    server = Peer(.server, settings: settings, connectionWindow: 80_000)
    client.engine.outputHighWatermark = 1 + random.next(below: 50_000)
    client.onEvent = { [unowned self] peer, event in onClient(peer, event) }
    server.onEvent = { [unowned self] peer, event in onServer(peer, event) }
  }

  var isComplete: Bool {
    wanted.count == 40 && wanted.allSatisfy { client.received[$0, default: []] == $1 && client.ended.contains($0) }
      && client.engine.activeStreamCount == 0 && server.engine.activeStreamCount == 0
  }

  func run() {
    for _ in 0..<200_000 {
      if wanted.count < 40, random.next(below: 10) == 0 { start() }
      step(client, server, &wire.toServer)
      step(server, client, &wire.toClient)
      if isComplete { return }
    }
  }

  private func start() {
    guard let id = client.engine.openStream() else { return }
    let body = (0..<random.next(below: 60_000)).map { UInt8(truncatingIfNeeded: $0 &+ Int(id.rawValue)) }
    wanted[id.rawValue] = body
    client.engine.sendHead(postHead, on: id, endStream: false)
    pending["c\(id.rawValue)"] = (body, 0, true)
    push(client, "c", id)
  }

  private func push(_ peer: Peer, _ side: String, _ id: HTTP2StreamID) {
    guard var state = pending["\(side)\(id.rawValue)"], state.at < state.bytes.count || state.ends else { return }
    let rest = Array(state.bytes[state.at...])
    let taken = rest.withUnsafeBytes { peer.engine.sendData($0, on: id, endStream: state.ends) }
    state.at += taken
    if taken == rest.count, state.ends { state.ends = false }
    pending["\(side)\(id.rawValue)"] = state
  }

  private func onClient(_ peer: Peer, _ event: HTTP2Event) {
    if case .writable(let id) = event { push(peer, "c", id) }
  }

  private func onServer(_ peer: Peer, _ event: HTTP2Event) {
    switch event {
    case .head(let id, _):
      peer.engine.sendHead(okHead, on: id, endStream: false)
      pending["s\(id.rawValue)"] = ([], 0, false)
    case .data(let id, let bytes, _, let end):
      pending["s\(id.rawValue)"]?.bytes.append(contentsOf: bytes)
      if end { pending["s\(id.rawValue)"]?.ends = true }
      push(peer, "s", id)
    case .writable(let id): push(peer, "s", id)
    default: break
    }
  }

  private func step(_ from: Peer, _ to: Peer, _ wire: inout [UInt8]) {
    wire += from.drain()
    from.run()
    guard !wire.isEmpty else { return }
    let count = min(wire.count, 1 + random.next(below: random.next(below: 2) == 0 ? 40 : 40_000))
    to.feed(Array(wire[..<count]))
    wire.removeFirst(count)
  }
}
