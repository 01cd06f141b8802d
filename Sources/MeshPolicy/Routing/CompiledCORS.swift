import MeshCore
package import MeshHTTP

/// Cross-origin permission of one rule (Fetch standard, section 3.3; Gateway API, HTTPCORSFilter), ready to apply.
///
/// The rule's word is the only one: what a backend says in `Access-Control-*` to a request with an origin is taken out.
/// A credentialed answer never holds a wildcard, which browsers would take for the literal `*`; it names what was asked for.
package struct CompiledCORS: Sendable {
  package enum Verdict: UInt8, Sendable {
    /// Not a cross-origin request.
    case noOrigin
    case refused, allowed
  }

  private let origins: [OriginPattern]
  private let allowsCredentials: Bool
  private let allowsAnyOrigin: Bool
  private let methods: FieldValue
  private let headers: FieldValue
  private let exposed: FieldValue
  private let maxAge: UInt32

  /// The value of a list field.
  private enum FieldValue: Sendable {
    case none, any
    case list([UInt8])

    init(_ names: [String]) {
      let names = names.filter { name in !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
      self = names.isEmpty ? .none : names.contains("*") ? .any : .list(Array(names.joined(separator: ", ").utf8))
    }
  }

  package init(_ policy: CORSPolicy) {
    origins = policy.allowOrigins.map(OriginPattern.init)
    allowsCredentials = policy.allowCredentials
    allowsAnyOrigin = origins.contains(where: \.matchesAll)
    methods = FieldValue(policy.allowMethods)
    headers = FieldValue(policy.allowHeaders)
    exposed = FieldValue(policy.exposeHeaders)
    maxAge = policy.maxAge
  }

  package func judge(origin: UnsafeRawBufferPointer?) -> Verdict {
    guard let origin else { return .noOrigin }
    return origins.contains { $0.matches(origin) } ? .allowed : .refused
  }

  /// The question of a browser whether it may send the real request (Fetch standard, "CORS-preflight request").
  package static func isPreflight(_ request: MessageHead) -> Bool {
    request.method == .options && request.contains(.origin) && request.value(named: requestMethod.bytes) != nil
  }

  /// Fills the 204 that answers a preflight. A refused origin gets no permission, which is how it learns.
  package func answerPreflight(_ request: MessageHead, _ verdict: Verdict, into reply: MessageHead) {
    writeVary(reply)
    guard verdict == .allowed, let origin = request.value(.origin) else { return }
    writeOrigin(origin, into: reply)
    write(Self.allowMethods, methods, asked: request.value(named: Self.requestMethod.bytes), into: reply)
    write(Self.allowHeaders, headers, asked: request.value(named: Self.requestHeaders.bytes), into: reply)
    withDecimal(Int(maxAge)) { reply.append(name: Self.maxAge.bytes, value: $0) }
  }

  /// Marks the response to a request from `origin`.
  package func decorate(_ response: MessageHead, origin: UnsafeRawBufferPointer, _ verdict: Verdict) {
    writeVary(response)
    guard verdict != .noOrigin else { return }
    for (index, field) in response.fields.enumerated() where response.bytes(field.name).isAccessControl {
      response.removeField(at: index)
    }
    guard verdict == .allowed else { return }
    writeOrigin(origin, into: response)
    switch exposed {
    case .any where allowsCredentials: exposeAll(response)
    default: write(Self.exposeHeaders, exposed, asked: nil, into: response)
    }
  }

  // MARK: - Fields

  private func writeOrigin(_ origin: UnsafeRawBufferPointer, into head: MessageHead) {
    if allowsAnyOrigin && !allowsCredentials {
      head.append(.accessControlAllowOrigin, "*")
    } else {
      head.append(.accessControlAllowOrigin, origin)
    }
    if allowsCredentials { head.append(name: Self.allowCredentials.bytes, value: Self.yes.bytes) }
  }

  private func write(
    _ name: StaticString, _ value: FieldValue, asked: UnsafeRawBufferPointer?, into head: MessageHead
  ) {
    switch value {
    case .none: break
    case .list(let list): list.withUnsafeBytes { head.append(name: name.bytes, value: $0) }
    case .any where !allowsCredentials: head.append(name: name.bytes, value: Self.wildcard.bytes)
    case .any: if let asked { head.append(name: name.bytes, value: asked) }
    }
  }

  /// Every name in `response`, since a credentialed response cannot say "all". Browsers hide `Set-Cookie` in any case.
  private func exposeAll(_ response: MessageHead) {
    var names: [UInt8] = []
    for field in response.fields where !field.isRemoved && !field.token.isHopByHop && field.token != .setCookie {
      let name = response.bytes(field.name)
      guard !name.isAccessControl else { continue }
      if !names.isEmpty { names += [UInt8(ascii: ","), UInt8(ascii: " ")] }
      names += name
    }
    guard !names.isEmpty else { return }
    names.withUnsafeBytes { response.append(name: Self.exposeHeaders.bytes, value: $0) }
  }

  /// Says to caches that the answer to one origin is not the answer to another, even where it grants nothing.
  private func writeVary(_ head: MessageHead) {
    if allowsAnyOrigin && !allowsCredentials { return }
    for field in head.fields where field.token == .vary && !field.isRemoved {
      let value = head.bytes(field.value)
      if value.equalsIgnoringCase("origin") || value.equals("*") { return }
    }
    head.append(.vary, "Origin")
  }

  // MARK: - Names

  private static let requestMethod: StaticString = "access-control-request-method"
  private static let requestHeaders: StaticString = "access-control-request-headers"
  private static let allowMethods: StaticString = "access-control-allow-methods"
  private static let allowHeaders: StaticString = "access-control-allow-headers"
  private static let allowCredentials: StaticString = "access-control-allow-credentials"
  private static let exposeHeaders: StaticString = "access-control-expose-headers"
  private static let maxAge: StaticString = "access-control-max-age"
  private static let yes: StaticString = "true"
  private static let wildcard: StaticString = "*"
}

extension StaticString {
  fileprivate var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}

extension UnsafeRawBufferPointer {
  fileprivate var isAccessControl: Bool {
    let prefix: StaticString = "access-control-"
    return count > prefix.utf8CodeUnitCount && slice(0, prefix.utf8CodeUnitCount).equalsIgnoringCase(prefix)
  }
}
