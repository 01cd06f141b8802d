import NIOCore

/// An open-loop load generator: requests leave on schedule whether or not earlier answers came, so a slow service shows as
/// slow instead of slowing the load. Confined to one event loop.
final class Load {
  /// Requests under way; more are counted as dropped, not sent.
  static let maximumInFlight = 1000

  private let client: ShopClient
  private let target: ShopTarget
  private let path: String
  private let interval: Int64
  private let started = NIODeadline.now()
  private var reported = NIODeadline.now()
  private var sent: Int64 = 0
  private var inFlight = 0
  private var succeeded = 0
  private var failed = 0
  private var dropped = 0
  private var versions: [String: Int] = [:]

  private init(_ options: ShopOptions, client: ShopClient) throws {
    (target, path) = try ShopTarget.url(options.url ?? "")
    self.client = client
    interval = 1_000_000_000 / Int64(options.requestsPerSecond)
  }

  /// Call on the loop. Ends after the duration, never with duration zero.
  static func run(_ options: ShopOptions, client: ShopClient, loop: any EventLoop) -> EventLoopFuture<Void> {
    let done = loop.makePromise(of: Void.self)
    do {
      let load = try Load(options, client: client)
      let end = options.durationSeconds > 0 ? load.started + .seconds(Int64(options.durationSeconds)) : nil
      load.tick(loop, until: end, done)
    } catch {
      done.fail(error)
    }
    return done.futureResult
  }

  private func tick(_ loop: any EventLoop, until end: NIODeadline?, _ done: EventLoopPromise<Void>) {
    let now = NIODeadline.now()
    sendDue(now)
    let isOver = end.map { now >= $0 } ?? false
    if isOver || now - reported >= .seconds(10) {
      reported = now
      report()
    }
    if isOver { return done.succeed(()) }
    loop.assumeIsolated().scheduleTask(in: .milliseconds(2)) { [self] in tick(loop, until: end, done) }
  }

  private func sendDue(_ now: NIODeadline) {
    let due = (now - started).nanoseconds / interval
    while sent < due {
      sent += 1
      guard inFlight < Self.maximumInFlight else {
        dropped += 1
        continue
      }
      inFlight += 1
      client.get(target, path: path).assumeIsolated().whenComplete { [self] result in
        inFlight -= 1
        if case .success(let answer) = result, answer.status < 500 {
          succeeded += 1
          versions[answer.version ?? "-", default: 0] += 1
        } else {
          failed += 1
        }
      }
    }
  }

  private func report() {
    let shares = versions.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
    printLine(
      "{\"sent\":\(sent),\"ok\":\(succeeded),\"failed\":\(failed),\"dropped\":\(dropped),\"versions\":{\(shares)}}")
  }
}
