package import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// A certificate that the authority has just signed.
package struct IssuedCertificate: Sendable {
  package var certificate: Certificate
  /// Leaf first. The root is not part of it: peers hold it as their anchor.
  package var chainPEM: String

  package var notBefore: Date { certificate.notValidBefore }
  package var notAfter: Date { certificate.notValidAfter }
}
