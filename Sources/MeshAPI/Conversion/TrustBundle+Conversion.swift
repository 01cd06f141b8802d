import SwiftProtobuf

/// The certificate authorities whose certificates the members of a trust domain accept (SPIFFE Trust Domain and
/// Bundle specification, section 4). More than one while a root is being rotated.
package struct TrustAnchors: Hashable, Sendable {
  package var trustDomain: String
  /// One or more PEM certificates.
  package var pem: String

  package init(trustDomain: String, pem: String) {
    self.trustDomain = trustDomain
    self.pem = pem
  }
}

extension TrustAnchors {
  package init(_ message: Apus_V1_TrustBundle, limits: ConversionLimits = .standard) throws(ConversionError) {
    try limits.check(message.trustDomain, "trust_domain")
    guard message.anchorsPem.utf8.count <= limits.maximumAnchorsBytes else {
      throw ConversionError(
        field: "anchors_pem", problem: "longer than \(limits.maximumAnchorsBytes) bytes")
    }
    guard message.anchorsPem.contains("-----BEGIN CERTIFICATE-----") else {
      throw ConversionError(field: "anchors_pem", problem: "holds no PEM certificate")
    }
    self.init(trustDomain: message.trustDomain, pem: message.anchorsPem)
  }
}

// MARK: - To the wire

extension Apus_V1_TrustBundle {
  package init(_ anchors: TrustAnchors) {
    self.init()
    trustDomain = anchors.trustDomain
    anchorsPem = anchors.pem
  }
}
