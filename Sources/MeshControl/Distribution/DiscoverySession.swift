package import MeshAPI
import MeshCore
import SwiftProtobuf

/// What the server side of one discovery stream knows: subscriptions, what the proxy has, versions. Pure: requests and
/// snapshots in, responses out.
///
/// The proxy always gets its own workload and the trust bundle, and for every subscribed service the endpoint sets of its
/// backends. Only differences travel: between two deltas any number of snapshots may have passed, and the newest wins.
package struct DiscoverySession: Sendable {
  package static let maximumSubscriptions = 10_000
  package static let maximumHeld = 100_000
  /// A delta is cut into messages of about this size. One larger resource travels alone.
  package static let messageBytes = 1 << 20

  package enum Violation: Error, Hashable, Sendable, CustomStringConvertible {
    case helloExpected
    case secondHello
    case anotherWorkload(String)
    case tooMany(String, Int)
    case badName(ConversionError)
    case unknownVersion(UInt64)

    package var description: String {
      switch self {
      case .helloExpected: "the first message of a discovery stream must be hello"
      case .secondHello: "hello came twice on one stream"
      case .anotherWorkload(let name): "the join token is not of workload \"\(name)\""
      case .tooMany(let what, let limit): "more than \(limit) \(what)"
      case .badName(let error): "resource name: \(error)"
      case .unknownVersion(let version): "version \(version) was never sent on this stream"
      }
    }
  }

  package let workload: String
  /// The workload's: decides which consumer routes apply.
  package let namespace: String
  package private(set) var greeted = false
  package private(set) var proxyVersion = ""
  package private(set) var sentVersion: UInt64 = 0
  package private(set) var ackedVersion: UInt64 = 0
  /// Text of the last rejection; empty after a later version was acknowledged.
  package private(set) var rejection = ""

  /// What the proxy's workers use, as it said last on this stream.
  package private(set) var identity: ReportedIdentity?

  private var subscriptions: Set<DiscoveryKey> = []
  /// From an earlier stream; counts as sent from the moment the resource is wanted.
  private var held: [DiscoveryKey: UInt64] = [:]
  /// What the proxy has, by content hash.
  private var sent: [DiscoveryKey: UInt64] = [:]
  /// Wanted, and told that it does not exist.
  private var absent: Set<DiscoveryKey> = []
  /// Of those, told to be in namespaces that the mesh does not know.
  private var outside: Set<DiscoveryKey> = []
  /// The next delta is sent even when it is empty: the proxy waits for an answer.
  private var owesAnswer = false

  package init(workload: String, namespace: String) {
    self.workload = workload
    self.namespace = namespace
  }

  // MARK: - Requests

  /// Whether a delta may be due after it.
  package mutating func receive(_ request: Apus_V1_DiscoveryRequest) throws(Violation) -> Bool {
    guard let kind = request.kind else { return false }
    if case .hello(let hello) = kind {
      try receive(hello)
      return true
    }
    guard greeted else { throw .helloExpected }
    switch kind {
    case .hello: return false
    case .subscribe(let message):
      for name in message.names {
        let key = try Self.key(name)
        subscriptions.insert(key)
        // Asking again is answered again.
        absent.remove(key)
      }
      guard subscriptions.count <= Self.maximumSubscriptions else {
        throw .tooMany("subscriptions", Self.maximumSubscriptions)
      }
      owesAnswer = true
      return true
    case .unsubscribe(let message):
      for name in message.names { subscriptions.remove(try Self.key(name)) }
      return true
    case .ack(let message):
      guard message.version <= sentVersion else { throw .unknownVersion(message.version) }
      ackedVersion = max(ackedVersion, message.version)
      if rejectedVersion < ackedVersion { rejection = "" }
      return false
    case .reject(let message):
      try receive(message)
      return false
    case .identity(let message):
      identity = ReportedIdentity(message)
      return false
    }
  }

  private var rejectedVersion: UInt64 = 0

  private mutating func receive(_ hello: Apus_V1_Hello) throws(Violation) {
    guard !greeted else { throw .secondHello }
    guard hello.proxyID.isEmpty || hello.proxyID == workload else {
      throw .anotherWorkload(String(hello.proxyID.prefix(63)))
    }
    guard hello.held.count <= Self.maximumHeld else { throw .tooMany("held resources", Self.maximumHeld) }
    for resource in hello.held { held[try Self.key(resource.name)] = resource.hash }
    proxyVersion = String(hello.version.prefix(64))
    greeted = true
    owesAnswer = true
  }

  private mutating func receive(_ reject: Apus_V1_Reject) throws(Violation) {
    guard reject.version <= sentVersion else { throw .unknownVersion(reject.version) }
    rejectedVersion = max(rejectedVersion, reject.version)
    rejection = reject.resources.prefix(8)
      .map { "\($0.name.name): \($0.error.prefix(256))" }.joined(separator: "; ")
    if rejection.isEmpty { rejection = "version \(reject.version) was rejected" }
  }

  private static func key(_ name: Apus_V1_ResourceName) throws(Violation) -> DiscoveryKey {
    do throws(ConversionError) {
      return try DiscoveryKey(name)
    } catch {
      throw .badName(error)
    }
  }

  // MARK: - Deltas

  /// What brings the proxy from what it has to `snapshot`, as messages to send in order. Empty before `hello` and when
  /// there is nothing to say.
  package mutating func delta(to snapshot: DistributionSnapshot) -> [Apus_V1_DiscoveryResponse] {
    guard greeted else { return [] }
    var changes = Changes(configTime: snapshot.configTime)
    let wanted = wantedKeys(in: snapshot)
    for key in wanted.order {
      if let hash = held.removeValue(forKey: key) { sent[key] = hash }
      if let stored = snapshot[key, namespace] {
        absent.remove(key)
        guard sent[key] != stored.hash else { continue }
        sent[key] = stored.hash
        changes.add(stored)
      } else {
        let had = sent.removeValue(forKey: key) != nil
        let isOutside = snapshot.isOutside(key)
        let isNews = isOutside ? outside.insert(key).inserted : outside.remove(key) != nil
        if absent.insert(key).inserted || had || isNews { changes.remove(key, isOutside: isOutside) }
      }
    }
    for key in sent.keys where !wanted.keys.contains(key) {
      sent[key] = nil
      changes.remove(key)
    }
    absent.formIntersection(wanted.keys)
    outside.formIntersection(absent)
    return number(changes.finish(evenEmpty: owesAnswer))
  }

  private mutating func number(_ messages: [Apus_V1_DiscoveryResponse]) -> [Apus_V1_DiscoveryResponse] {
    owesAnswer = false
    return messages.map { message in
      var message = message
      sentVersion += 1
      message.version = sentVersion
      return message
    }
  }

  /// Endpoints stand before the services that point at them, so that a proxy which applies in order never routes to
  /// nowhere.
  private func wantedKeys(in snapshot: DistributionSnapshot) -> (order: [DiscoveryKey], keys: Set<DiscoveryKey>) {
    var keys: Set<DiscoveryKey> = []
    var order: [DiscoveryKey] = []
    func want(_ key: DiscoveryKey) {
      if keys.insert(key).inserted { order.append(key) }
    }
    want(.trust)
    want(.workload(workload))
    // Most meshes have none, and need not be told so.
    if snapshot[.hosts, namespace] != nil || held[.hosts] != nil { want(.hosts) }
    var services: [DiscoveryKey] = []
    for key in subscriptions {
      switch key {
      case .service:
        services.append(key)
        snapshot[key, namespace]?.related.forEach(want)
      case .endpoints: want(key)
      // Another workload's configuration is none of this proxy's business.
      case .workload, .trust, .hosts: break
      }
    }
    services.forEach(want)
    return (order, keys)
  }

  /// Collects a delta and cuts it into messages.
  private struct Changes {
    private var messages: [Apus_V1_DiscoveryResponse] = []
    private var current = Apus_V1_DiscoveryResponse()
    private var bytes = 0
    private let configTime: Int64

    init(configTime: Int64) { self.configTime = configTime }

    mutating func add(_ stored: DistributionSnapshot.Stored) {
      if bytes > 0, bytes + stored.bytes > DiscoverySession.messageBytes { cut() }
      current.resources.append(stored.message)
      bytes += stored.bytes
    }

    mutating func remove(_ key: DiscoveryKey, isOutside: Bool = false) {
      let name = Apus_V1_ResourceName(key)
      if bytes > 0, bytes + name.name.utf8.count + 8 > DiscoverySession.messageBytes { cut() }
      current.removed.append(name)
      if isOutside { current.outside.append(name) }
      bytes += name.name.utf8.count + 8
    }

    private mutating func cut() {
      current.configTimeMs = configTime
      messages.append(current)
      current = Apus_V1_DiscoveryResponse()
      bytes = 0
    }

    mutating func finish(evenEmpty: Bool) -> [Apus_V1_DiscoveryResponse] {
      if bytes > 0 || (evenEmpty && messages.isEmpty) { cut() }
      return messages
    }
  }
}
