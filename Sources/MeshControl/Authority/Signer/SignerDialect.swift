#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// How a signer is spoken to. Pure: an order to a message, an answer to a chain.
package enum SignerDialect: String, CaseIterable, Sendable {
  /// PKCS #10 in PEM goes, a PEM chain comes (the media types of RFC 8555, section 9.1, and RFC 5967).
  case pem
  /// HashiCorp Vault and OpenBao: JSON to `root/sign-intermediate` of a PKI engine.
  case vault

  struct Message: Hashable {
    struct Field: Hashable {
      var name: String
      var value: String
    }

    var fields: [Field]
    var body: [UInt8]

    init(_ fields: [(String, String)], body: [UInt8]) {
      self.fields = fields.map { Field(name: $0.0, value: $0.1) }
      self.body = body
    }
  }

  func message(_ order: SigningOrder, token: String?) -> Message {
    switch self {
    case .pem:
      var fields = [
        ("content-type", "application/pkcs10"), ("accept", "application/pem-certificate-chain"),
        // PKCS #10 has no place for it.
        ("apus-requested-lifetime", "\(order.lifetimeSeconds)"), ("apus-trust-domain", order.trustDomain),
      ]
      if let token { fields.append(("authorization", "Bearer \(token)")) }
      return Message(fields, body: Array(order.requestPEM.utf8))
    case .vault:
      var fields = [("content-type", "application/json"), ("accept", "application/json")]
      if let token { fields.append(("x-vault-token", token)) }
      return Message(fields, body: VaultRequest(order).encoded)
    }
  }

  /// The chain in the body of a good answer.
  func chain(_ body: [UInt8]) throws(SignerError) -> String {
    switch self {
    case .pem: return String(decoding: body, as: UTF8.self)
    case .vault:
      guard let answer = try? JSONDecoder().decode(VaultAnswer.self, from: Data(body)) else {
        throw SignerError(
          .malformed, "the signer's answer is not Vault's (data.certificate, data.ca_chain); is --signer-dialect right?"
        )
      }
      return answer.data.chain
    }
  }

  /// What the body of a refusal says.
  func complaint(_ body: [UInt8]) -> String {
    if self == .vault, let answer = try? JSONDecoder().decode(VaultRefusal.self, from: Data(body)) {
      return answer.errors.joined(separator: "; ")
    }
    return String(decoding: body, as: UTF8.self)
  }
}

// MARK: - Vault's JSON (its PKI engine's "Sign intermediate")

private struct VaultRequest: Encodable {
  var csr: String
  var commonName: String
  var ttl: String
  var format = "pem"
  /// The issuer signs leaves and no authority.
  var maxPathLength = 0
  /// Our request asks for nothing that Vault would not give an authority anyway.
  var useCSRValues = false

  enum CodingKeys: String, CodingKey {
    case csr, ttl, format
    case commonName = "common_name"
    case maxPathLength = "max_path_length"
    case useCSRValues = "use_csr_values"
  }

  init(_ order: SigningOrder) {
    csr = order.requestPEM
    commonName = "Apus issuer of \(order.trustDomain)"
    ttl = "\(order.lifetimeSeconds)s"
  }

  var encoded: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings and numbers cannot fail to encode.
    return (try? encoder.encode(self)).map(Array.init) ?? []
  }
}

private struct VaultAnswer: Decodable {
  struct Chain: Decodable {
    var certificate: String
    var issuing: String?
    var above: [String]?

    enum CodingKeys: String, CodingKey {
      case certificate
      case issuing = "issuing_ca"
      case above = "ca_chain"
    }

    /// Some versions repeat the certificate in the chain above it.
    var chain: String {
      let above = self.above ?? issuing.map { [$0] } ?? []
      var parts: [String] = []
      for part in ([certificate] + above).map({ $0.trimmed }) where !parts.contains(part) { parts.append(part) }
      return parts.joined(separator: "\n") + "\n"
    }
  }

  var data: Chain
}

private struct VaultRefusal: Decodable { var errors: [String] }

extension String {
  fileprivate var trimmed: String {
    let rest = drop { $0.isWhitespace }
    return String(rest.reversed().drop { $0.isWhitespace }.reversed())
  }
}
