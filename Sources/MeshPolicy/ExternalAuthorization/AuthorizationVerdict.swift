import MeshCore
package import MeshHTTP

/// What an external authorizer has said of a request.
package struct AuthorizationVerdict: Equatable, Sendable {
  /// A field to change. Names are in lower case, and HTTP can carry both parts.
  package struct Change: Equatable, Sendable {
    package enum Action: UInt8, Sendable {
      case append
      case addIfAbsent
      /// In place of all that are there, or as the first.
      case set
      case overwriteIfPresent
    }

    package var name: [UInt8]
    package var value: [UInt8]
    package var action: Action

    package init(name: [UInt8], value: [UInt8], action: Action) {
      self.name = name
      self.value = value
      self.action = action
    }
  }

  package var isAllowed: Bool
  /// Of the answer that a client gets when the request is denied.
  package var status: UInt16 = 403
  package var body: [UInt8] = []
  /// Of the client's answer: the application's, or that of a denial.
  package var responseChanges: [Change] = []
  // Of a request that is allowed.
  package var requestChanges: [Change] = []
  package var removals: [[UInt8]] = []
  package var query = QueryChanges()

  package init(isAllowed: Bool) { self.isAllowed = isAllowed }

  /// Changes a request that is allowed.
  package func apply(toRequest head: MessageHead) {
    for change in requestChanges { change.apply(to: head) }
    for name in removals { name.withUnsafeBytes { head.remove(named: $0) } }
    query.apply(to: head)
  }

  package func apply(toResponse head: MessageHead) {
    for change in responseChanges { change.apply(to: head) }
  }
}

extension AuthorizationVerdict.Change {
  /// Nil for a field that is none of an authorizer's business, or that HTTP could not carry.
  init?(name: some Collection<UInt8>, value: some Collection<UInt8>, action: Action) {
    let lowered = name.map { $0.asciiLowercased }
    guard CompiledHeaderFilter.isChangeable(String(decoding: lowered, as: UTF8.self)) else { return nil }
    guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else { return nil }
    self.init(name: lowered, value: Array(value), action: action)
  }

  func apply(to head: MessageHead) {
    name.withUnsafeBytes { name in
      let isThere = head.value(named: name) != nil
      switch action {
      case .append: break
      case .addIfAbsent: if isThere { return }
      case .set: head.remove(named: name)
      case .overwriteIfPresent:
        guard isThere else { return }
        head.remove(named: name)
      }
      value.withUnsafeBytes { head.append(name: name, value: $0) }
    }
  }
}
