/// A workload identity, `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT` (SPIFFE-ID specification, section 2).
public struct SPIFFEID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var trustDomain: String
  public var namespace: String
  public var serviceAccount: String

  public static let defaultTrustDomain = "cluster.local"

  public init(trustDomain: String, namespace: String, serviceAccount: String) {
    self.trustDomain = trustDomain
    self.namespace = namespace
    self.serviceAccount = serviceAccount
  }

  /// Reads the URI form. Nil unless it has exactly the mesh's shape; nothing is unescaped or normalised.
  public init?(_ uri: some StringProtocol) {
    guard uri.hasPrefix("spiffe://"), uri.utf8.count <= 2048 else { return nil }
    let parts = uri.dropFirst("spiffe://".count).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 5, parts[1] == "ns", parts[3] == "sa",
      (1...255).contains(parts[0].utf8.count), parts[0].utf8.allSatisfy(Self.isTrustDomainByte),
      ServiceName.isLabel(parts[2]) || Self.isNumericLabel(parts[2]),
      (1...253).contains(parts[4].utf8.count), parts[4].utf8.allSatisfy(Self.isTrustDomainByte),
      // The specification (section 2.2) forbids relative path segments.
      parts[4] != ".", parts[4] != ".."
    else { return nil }
    self.init(
      trustDomain: String(parts[0]), namespace: String(parts[2]), serviceAccount: String(parts[4]))
  }

  public var description: String { "spiffe://\(trustDomain)/ns/\(namespace)/sa/\(serviceAccount)" }

  public static func < (a: SPIFFEID, b: SPIFFEID) -> Bool { a.description < b.description }

  /// A namespace may be all digits, which a service's host name may not.
  private static func isNumericLabel(_ label: some StringProtocol) -> Bool {
    (1...63).contains(label.utf8.count) && label.utf8.allSatisfy { (0x30...0x39).contains($0) }
  }

  private static func isTrustDomainByte(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x2E || byte == 0x5F
  }
}
