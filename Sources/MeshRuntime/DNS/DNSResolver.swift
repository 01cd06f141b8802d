internal import CAres
package import MeshCore

/// What the DNS says of a name.
package struct DNSAnswer: Hashable, Sendable {
  /// IPv4 and IPv6, as the servers ordered them; without ports.
  package var addresses: [SocketAddress]
  /// Of the record that ends first.
  package var ttl: TimeSpan
}

/// Why the DNS gave no address.
package struct DNSFailure: Error, Hashable, Sendable, CustomStringConvertible {
  package var description: String
}

/// Asks the DNS for addresses by c-ares, on one loop and without waiting. The hosts file goes first, as elsewhere on the machine.
///
/// Confined to its loop. Limits: `maximumAddresses` of a name, `tries` questions of `timeout` each to every server.
package final class DNSResolver: TimerHandler {
  package static let maximumAddresses = 256
  package static let timeout = TimeSpan.seconds(1)
  package static let tries = 3

  private let loop: Worker
  private let channel: ares_channel
  private let watches: Watches
  private lazy var timer = LoopTimer(owner: self)

  /// `servers` in the place of those in /etc/resolv.conf.
  package init(loop: Worker, servers: [SocketAddress] = []) throws(DNSFailure) {
    self.loop = loop
    watches = Watches(loop)
    var made: ares_channel?
    let status = apus_ares_new(
      &made, servers.map(\.description).joined(separator: ","), Int32(Self.timeout.nanoseconds / 1_000_000),
      Int32(Self.tries), watchDescriptor, Unmanaged.passUnretained(watches).toOpaque())
    guard status == 0, let made else { throw DNSFailure(description: Self.text(status)) }
    channel = made
    watches.resolver = self
  }

  deinit {
    // Closes its sockets, which the watches follow.
    ares_destroy(channel)
  }

  /// `done` is called once, perhaps before this returns.
  package func resolve(_ name: String, _ done: @escaping (Result<DNSAnswer, DNSFailure>) -> Void) {
    let question = Unmanaged.passRetained(Question(done))
    apus_ares_resolve(channel, name, takeAnswer, question.toOpaque())
    rearm()
  }

  package func timerFired(_ timer: LoopTimer) { process(-1, -1) }

  fileprivate func process(_ read: Int32, _ write: Int32) {
    ares_process_fd(channel, read, write)
    rearm()
  }

  private func rearm() {
    let wait = apus_ares_wait(channel)
    if wait < 0 { loop.cancel(timer) } else { loop.schedule(timer, after: .milliseconds(Int64(wait))) }
  }

  fileprivate static func text(_ status: Int32) -> String { String(cString: ares_strerror(status)) }
}

/// Who waits for an answer; c-ares holds it.
private final class Question {
  let done: (Result<DNSAnswer, DNSFailure>) -> Void

  init(_ done: @escaping (Result<DNSAnswer, DNSFailure>) -> Void) { self.done = done }
}

/// The library's sockets on the loop. Outlives the resolver while c-ares closes them.
private final class Watches: DescriptorHandler {
  private let loop: Worker
  private var open: [Int32: DescriptorWatch] = [:]
  weak var resolver: DNSResolver?

  init(_ loop: Worker) { self.loop = loop }

  func change(_ descriptor: Int32, read: Bool, write: Bool) {
    guard read || write else {
      open.removeValue(forKey: descriptor)?.end()
      return
    }
    let watch = open[descriptor] ?? loop.watch(descriptor, handler: self)
    open[descriptor] = watch
    // The question runs into its timeout then, and is asked again.
    if !watch.wait(read: read, write: write) { open.removeValue(forKey: descriptor)?.end() }
  }

  func descriptorReady(_ descriptor: Int32, canRead: Bool, canWrite: Bool) {
    resolver?.process(canRead ? descriptor : -1, canWrite ? descriptor : -1)
  }
}

// MARK: - c-ares' callbacks

private func watchDescriptor(_ context: UnsafeMutableRawPointer?, _ descriptor: Int32, _ read: Int32, _ write: Int32) {
  guard let context else { return }
  Unmanaged<Watches>.fromOpaque(context).takeUnretainedValue().change(descriptor, read: read != 0, write: write != 0)
}

private func takeAnswer(
  _ context: UnsafeMutableRawPointer?, _ status: Int32, _ timeouts: Int32, _ info: UnsafeMutablePointer<ares_addrinfo>?
) {
  guard let context else { return }
  defer { if let info { ares_freeaddrinfo(info) } }
  let question = Unmanaged<Question>.fromOpaque(context).takeRetainedValue()
  // The resolver goes: nobody waits any more.
  if status == ARES_EDESTRUCTION { return }
  guard status == 0, let info else {
    return question.done(.failure(DNSFailure(description: DNSResolver.text(status))))
  }
  let capacity = DNSResolver.maximumAddresses
  var ttl: Int32 = 0
  var found: [apus_ares_address] = Array(repeating: apus_ares_address(), count: capacity)
  let count = Int(apus_ares_read(info, &found, Int32(capacity), &ttl))
  guard count > 0 else { return question.done(.failure(DNSFailure(description: "the name has no address"))) }
  question.done(
    .success(
      DNSAnswer(
        addresses: found.prefix(count).map { SocketAddress(high: $0.high, low: $0.low, port: 0) },
        ttl: .seconds(Int64(ttl)))))
}
