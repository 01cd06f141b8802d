import MeshCore

extension CheckMessages {
  /// Reads a frame of gRPC with a `CheckResponse`. Nil for anything else, and for an answer that cannot be followed: one that allows a request
  /// with changes that are not possible, one without a status.
  ///
  /// In doubt it is no: a denial may lack everything, and `denied_response` denies whatever the status says.
  package static func verdict(_ frame: [UInt8]) -> AuthorizationVerdict? {
    guard let message = GRPCFrame.message(of: frame) else { return nil }
    var reader = ProtobufReader(message)
    var code: UInt64?
    var allowed: AuthorizationVerdict?
    var denied: AuthorizationVerdict?
    while let field = reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let status)):
        guard let number = ProtobufReader.number(1, of: status) else { return nil }
        code = number
      case (2, .bytes(let response)):
        guard let verdict = denial(response) else { return nil }
        denied = verdict
      case (3, .bytes(let response)):
        guard let verdict = permission(response) else { return nil }
        allowed = verdict
      // `error_response`: the service says itself that it does not know.
      case (5, .bytes): return nil
      default: break
      }
    }
    guard reader.isAtEnd else { return nil }
    if let denied { return denied }
    switch code {
    case 0: return allowed ?? AuthorizationVerdict(isAllowed: true)
    case nil: return allowed
    default: return AuthorizationVerdict(isAllowed: false)
    }
  }

  /// `DeniedHttpResponse`
  private static func denial(_ bytes: ArraySlice<UInt8>) -> AuthorizationVerdict? {
    var verdict = AuthorizationVerdict(isAllowed: false)
    var reader = ProtobufReader(bytes)
    while let field = reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let status)):
        guard let code = ProtobufReader.number(1, of: status) else { return nil }
        verdict.status = (200...599).contains(code) ? UInt16(code) : 403
      case (2, .bytes(let option)):
        guard verdict.responseChanges.count < maximumChanges else { return nil }
        // What HTTP could not carry is left out: no reason to let the request pass.
        if case .field(let change) = HeaderOption.read(option, otherwise: .set) {
          verdict.responseChanges.append(change)
        }
      case (3, .bytes(let body)): verdict.body = Array(body)
      default: break
      }
    }
    return reader.isAtEnd ? verdict : nil
  }

  /// `OkHttpResponse`
  private static func permission(_ bytes: ArraySlice<UInt8>) -> AuthorizationVerdict? {
    var verdict = AuthorizationVerdict(isAllowed: true)
    var reader = ProtobufReader(bytes)
    var count = 0
    while let field = reader.next() {
      guard case .bytes(let value) = field.value else { continue }
      switch field.number {
      case 2:
        guard case .field(let change) = HeaderOption.read(value, otherwise: .set) else { return nil }
        verdict.requestChanges.append(change)
      case 5:
        let name = value.map(\.asciiLowercased)
        guard CompiledHeaderFilter.isChangeable(String(decoding: name, as: UTF8.self)) else { return nil }
        verdict.removals.append(name)
      case 6:
        guard case .field(let change) = HeaderOption.read(value, otherwise: .append) else { return nil }
        verdict.responseChanges.append(change)
      case 7:
        guard let (name, value) = ProtobufReader.texts(of: value), !name.isEmpty else { return nil }
        verdict.query.set.append(.init(name: name, value: value))
      case 8: verdict.query.removals.append(Array(value))
      default: continue
      }
      count += 1
      if count > maximumChanges { return nil }
    }
    return reader.isAtEnd ? verdict : nil
  }
}

/// `HeaderValueOption`
private enum HeaderOption {
  case field(AuthorizationVerdict.Change)
  case impossible

  /// `append`, where it is there, goes before `append_action`, whose zero means what the message around it says.
  static func read(_ bytes: ArraySlice<UInt8>, otherwise: AuthorizationVerdict.Change.Action) -> HeaderOption {
    var reader = ProtobufReader(bytes)
    var pair: (name: [UInt8], value: [UInt8])?
    var appends: Bool?
    var action = otherwise
    while let field = reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let header)): pair = ProtobufReader.texts(of: header)
      case (2, .bytes(let wrapped)): appends = ProtobufReader.number(1, of: wrapped).map { $0 != 0 }
      case (3, .number(0)): action = otherwise
      case (3, .number(1)): action = .addIfAbsent
      case (3, .number(2)): action = .set
      case (3, .number(3)): action = .overwriteIfPresent
      case (3, _): return .impossible
      default: break
      }
    }
    guard reader.isAtEnd, let pair else { return .impossible }
    if let appends { action = appends ? .append : .set }
    // One line for each cookie, or all but the last would be lost.
    if pair.name.map(\.asciiLowercased) == Array("set-cookie".utf8), action == .set { action = .append }
    return AuthorizationVerdict.Change(name: pair.name, value: pair.value, action: action).map { .field($0) }
      ?? .impossible
  }
}

extension ProtobufReader {
  /// The value of a field that is a number: zero if it is not there, nil if the message is broken.
  static func number(_ wanted: Int, of bytes: ArraySlice<UInt8>) -> UInt64? {
    var reader = ProtobufReader(bytes)
    var result: UInt64 = 0
    while let field = reader.next() {
      if field.number == wanted, case .number(let number) = field.value { result = number }
    }
    return reader.isAtEnd ? result : nil
  }

  /// `key` and `value` of a pair; the field 3 is what a `HeaderValue` has in place of the second for bytes that are no text.
  static func texts(of bytes: ArraySlice<UInt8>) -> (name: [UInt8], value: [UInt8])? {
    var reader = ProtobufReader(bytes)
    var (name, value): ([UInt8], [UInt8]) = ([], [])
    while let field = reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let bytes)): name = Array(bytes)
      case (2, .bytes(let bytes)), (3, .bytes(let bytes)): value = Array(bytes)
      default: break
      }
    }
    return reader.isAtEnd ? (name, value) : nil
  }
}
