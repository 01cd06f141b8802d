import MeshCore

/// The keys of an issuer: a JWK set (RFC 7517) as far as it can be used. Immutable.
package struct TokenKeySet: Hashable, Sendable {
  package private(set) var keys: [TokenKey] = []
  /// Why others were left out, such as `key 2: RSA with 1024 bits is weak`.
  package private(set) var refused: [String] = []

  /// Why a whole set was refused.
  package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String

    package init(description: String) { self.description = description }
  }

  package init(_ text: UnsafeRawBufferPointer) throws(Failure) {
    guard text.count <= TokenLimits.keySetBytes else {
      throw Failure(description: "it has more than \(TokenLimits.keySetBytes) bytes")
    }
    let value: JSONValue
    do throws(JSONError) { value = try JSONReader.read(text) } catch {
      throw Failure(description: "it is no JSON that could be trusted (\(error))")
    }
    guard case .array(let elements)? = value["keys"] else {
      throw Failure(description: "it is no JWK set: an object with a list named \"keys\"")
    }
    guard elements.count <= TokenLimits.keys else {
      throw Failure(description: "it has more than \(TokenLimits.keys) keys")
    }
    for (index, element) in elements.enumerated() {
      do throws(Failure) { keys.append(try TokenKey(element)) } catch { refused.append("key \(index): \(error)") }
    }
    guard !keys.isEmpty else {
      let reason = refused.isEmpty ? "" : " (\(refused.prefix(4).joined(separator: "; ")))"
      throw Failure(description: "it has no key that could be used\(reason)")
    }
  }

  package init(_ text: some Collection<UInt8>) throws(Failure) {
    let result: Result<TokenKeySet, Failure> = Array(text).withUnsafeBytes { text in
      do throws(Failure) { return .success(try TokenKeySet(text)) } catch { return .failure(error) }
    }
    self = try result.get()
  }

  /// Where a token of `algorithm` and key id `id` may have its signature from. A key without an id may be any.
  package func candidates(_ algorithm: TokenAlgorithm, id: [UInt8]?) -> [Int] {
    let fitting = keys.indices.filter { index in
      let key = keys[index]
      return key.verifies(algorithm) && (id == nil || key.id == nil || key.id == id)
    }
    return Array(fitting.prefix(TokenLimits.candidates))
  }
}

extension TokenKey {
  fileprivate init(_ value: JSONValue) throws(TokenKeySet.Failure) {
    func refuse(_ reason: String) -> TokenKeySet.Failure { .init(description: reason) }
    guard value.isObject, let type = value["kty"]?.bytes else { throw refuse("it has no kty") }
    try Self.checkUse(value)
    switch String(decoding: type, as: UTF8.self) {
    case "RSA":
      self.init(kind: .rsa, first: try Self.number(value["n"], "n"), second: try Self.number(value["e"], "e"))
      try checkRSA()
    case "EC":
      try Self.checkCurve(value, "P-256")
      self.init(
        kind: .p256, first: try Self.coordinate(value["x"], "x"), second: try Self.coordinate(value["y"], "y"))
    case "OKP":
      try Self.checkCurve(value, "Ed25519")
      self.init(kind: .ed25519, first: try Self.coordinate(value["x"], "x"))
    case "oct": throw refuse("a shared secret verifies nothing here")
    default: throw refuse("keys of its kty are not known")
    }
    if let name = value["alg"] {
      guard let text = name.bytes, let algorithm = TokenAlgorithm(text), algorithm.keyKind == kind else {
        throw refuse(
          "its alg is not one of \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", ")), or not its kind's")
      }
      self.algorithm = algorithm
    }
    if let name = value["kid"] {
      guard let id = name.bytes, (1...TokenLimits.textBytes).contains(id.count) else {
        throw refuse("its kid is no text")
      }
      self.id = id
    }
  }

  /// A key is for signatures, or it says nothing.
  private static func checkUse(_ value: JSONValue) throws(TokenKeySet.Failure) {
    if let use = value["use"], use != .string(Array("sig".utf8)) { throw .init(description: "its use is not sig") }
    if let operations = value["key_ops"] {
      guard case .array(let list) = operations, list.contains(.string(Array("verify".utf8))) else {
        throw .init(description: "its key_ops do not have verify")
      }
    }
    if value["d"] != nil { throw .init(description: "it is a private key, and everybody who reads the set has it") }
  }

  private static func checkCurve(_ value: JSONValue, _ name: String) throws(TokenKeySet.Failure) {
    guard value["crv"] == .string(Array(name.utf8)) else { throw .init(description: "its crv is not \(name)") }
  }

  /// Unsigned and big-endian, without a zero in front (RFC 7518, section 2); some writers leave one there.
  private static func number(_ value: JSONValue?, _ name: String) throws(TokenKeySet.Failure) -> [UInt8] {
    guard let text = value?.bytes, let bytes = text.withUnsafeBytes(Base64URL.decode) else {
      throw .init(description: "its \(name) is not base64url")
    }
    return Array(bytes.drop { $0 == 0 })
  }

  private static func coordinate(_ value: JSONValue?, _ name: String) throws(TokenKeySet.Failure) -> [UInt8] {
    guard let text = value?.bytes, let bytes = text.withUnsafeBytes(Base64URL.decode), bytes.count == 32 else {
      throw .init(description: "its \(name) does not have 32 bytes")
    }
    return bytes
  }

  private func checkRSA() throws(TokenKeySet.Failure) {
    let bits = first.count * 8 - (first.first?.leadingZeroBitCount ?? 0)
    if bits < TokenLimits.rsaBits.lowerBound { throw .init(description: "RSA with \(bits) bits is weak") }
    if bits > TokenLimits.rsaBits.upperBound { throw .init(description: "RSA with \(bits) bits is too large") }
    let exponent = second.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard (1...4).contains(second.count), exponent >= 3, exponent & 1 == 1, first.last.map({ $0 & 1 == 1 }) == true
    else { throw .init(description: "its modulus or exponent is none of RSA") }
  }
}
