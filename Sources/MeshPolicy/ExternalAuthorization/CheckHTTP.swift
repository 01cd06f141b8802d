import MeshCore
package import MeshHTTP

/// External authorization by plain HTTP: the request's own head without its content is the question, the answer's status the verdict.
package enum CheckHTTP {
  /// Longer bodies of denials are not passed on.
  package static let maximumAnswerBytes = 64 * 1024

  /// Writes the question for `request` to `head`, which is empty.
  package static func write(
    _ request: MessageHead, _ authorizer: ExternalAuthorizer, bodyLength: Int, to head: MessageHead
  ) {
    guard case .http(let http) = authorizer.wire else { return }
    head.method = request.method
    if request.method == .other { head.methodBytes = head.intern(request.bytes(request.methodBytes)) }
    // Of a WebSocket over HTTP/2 the method is CONNECT, which would make a tunnel of the question.
    if request.method == .connect { head.method = .get }
    let path = Array(http.pathPrefix.utf8) + Array(request.bytes(request.path))
    head.path = path.withUnsafeBytes { head.intern($0) }
    head.authority = head.intern(request.bytes(request.authority))
    head.scheme = head.intern("http")
    let choice = FieldChoice(authorizer.fields ?? [], besides: ["authorization"])
    for field in request.fields {
      guard let name = choice.name(of: field, in: request), field.token != .contentLength, field.token != .expect else {
        continue
      }
      name.withUnsafeBytes { head.append(name: $0, value: request.bytes(field.value)) }
    }
    if bodyLength > 0 || request.method == .post || request.method == .put {
      head.append(.contentLength, number: bodyLength)
    }
  }

  /// What an answer means. Nil for one that says nothing of the request: the server's own failure (5xx), or fields that cannot be taken over.
  package static func verdict(
    _ answer: MessageHead, body: [UInt8], _ authorizer: ExternalAuthorizer
  )
    -> AuthorizationVerdict?
  {
    guard case .http(let http) = authorizer.wire, (200...499).contains(answer.status) else { return nil }
    guard answer.status == 200 else { return denial(answer, body, http) }
    var verdict = AuthorizationVerdict(isAllowed: true)
    for name in http.requestFields {
      let changes = self.changes(answer, Array(name.utf8))
      guard let changes else { return nil }
      if changes.isEmpty { verdict.removals.append(Array(name.utf8)) }
      verdict.requestChanges += changes
    }
    if let list = answer.value(named: "x-envoy-auth-headers-to-remove") {
      for name in list.split(separator: ",") {
        let name = name.filter { $0 != " " }.lowercased()
        guard CompiledHeaderFilter.isChangeable(name) else { return nil }
        verdict.removals.append(Array(name.utf8))
      }
    }
    for name in http.responseFields {
      guard let changes = changes(answer, Array(name.utf8)) else { return nil }
      verdict.responseChanges += changes
    }
    return verdict
  }

  /// All lines of a name, the first in place of what is there. Nil if one of them cannot be taken over.
  private static func changes(_ answer: MessageHead, _ name: [UInt8]) -> [AuthorizationVerdict.Change]? {
    var changes: [AuthorizationVerdict.Change] = []
    for field in answer.fields where !field.isRemoved && answer.bytes(field.name).map(\.asciiLowercased) == name {
      let action: AuthorizationVerdict.Change.Action =
        field.token == .setCookie || !changes.isEmpty ? .append : .set
      guard let change = AuthorizationVerdict.Change(name: name, value: answer.bytes(field.value), action: action)
      else {
        return nil
      }
      changes.append(change)
    }
    return changes
  }

  private static func denial(
    _ answer: MessageHead, _ body: [UInt8], _ http: ExternalAuthorizer.HTTP
  )
    -> AuthorizationVerdict
  {
    var verdict = AuthorizationVerdict(isAllowed: false)
    verdict.status = answer.status
    verdict.body = body.count <= maximumAnswerBytes ? body : []
    for field in answer.fields where !field.isRemoved && !field.token.isHopByHop {
      let name = answer.bytes(field.name)
      guard http.tells(name.map(\.asciiLowercased), field.token) else { continue }
      if let change = AuthorizationVerdict.Change(name: name, value: answer.bytes(field.value), action: .append) {
        verdict.responseChanges.append(change)
      }
    }
    return verdict
  }
}

extension ExternalAuthorizer.HTTP {
  /// Without those a redirection, a demand for credentials or a body would be none.
  fileprivate func tells(_ name: [UInt8], _ token: HeaderToken) -> Bool {
    switch token {
    case .server, .date, .trailer: return false
    case .location, .wwwAuthenticate, .setCookie, .contentType: return true
    default: break
    }
    guard let denialFields else { return true }
    return denialFields.contains { Array($0.utf8) == name }
  }
}
