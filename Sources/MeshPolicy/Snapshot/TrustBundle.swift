/// Whom the members of a trust domain believe: the authorities whose certificates they accept (SPIFFE Trust Domain and Bundle
/// specification, section 4), and what of those authorities' certificates is revoked all the same.
///
/// A new bundle counts for handshakes, for resumptions and for connections that are open.
package struct TrustBundle: Hashable, Sendable {
  package var trustDomain: String
  /// One or more PEM certificates; more than one while a root is being rotated.
  package var anchorsPEM: String
  /// Certificate revocation lists (RFC 5280 section 5) of those authorities and their issuers, each in PEM.
  package var crls: [String]
  /// SPIFFE ids of peers that are refused whatever certificate they show.
  package var deniedIdentities: Set<String>
  /// Serial numbers of leaves that are refused: hexadecimal digits in lower case, an even number, no leading `00`.
  package var deniedSerials: Set<String>
  /// Subject key identifier (same form) of the issuer that signs now. Who holds another's leaf gets a new one soon. Empty: not said.
  package var signer: String

  package init(
    trustDomain: String, anchorsPEM: String, crls: [String] = [], deniedIdentities: Set<String> = [],
    deniedSerials: Set<String> = [], signer: String = ""
  ) {
    self.trustDomain = trustDomain
    self.anchorsPEM = anchorsPEM
    self.crls = crls
    self.deniedIdentities = deniedIdentities
    self.deniedSerials = deniedSerials
    self.signer = signer
  }
}
