package import MeshCore

/// Limits of tokens and of the keys that they are verified with. Past any of them a token, or a key set, is refused.
package enum TokenLimits {
  /// Of a token, in bytes. A field of 16 KiB is past what most servers take at all.
  package static let tokenBytes = 16 * 1024
  /// Of an audience, an issuer, a key id, or a claim that goes into a field, in bytes.
  package static let textBytes = 1_024
  /// Of a key set's text, in bytes. Those of large identity providers have about 10 KiB.
  package static let keySetBytes = 256 * 1024
  /// Keys of a set.
  package static let keys = 128
  /// Keys that the signature of one token is tried with, where no `kid` says which: each costs some ten microseconds.
  package static let candidates = 4
  /// JSON values of a token's part, or of a key set.
  package static let values = 4_096
  /// Objects and lists inside each other.
  package static let depth = 12
  /// Bits of an RSA modulus: less is weak (RFC 7518, section 3.3), more costs too much to verify.
  package static let rsaBits = 2_048...8_192
  /// How long a key set is good when its server does not say it, and what is believed of what it says.
  package static let defaultMaxAge = TimeSpan.seconds(300)
  package static let maxAge = TimeSpan.seconds(10)...TimeSpan.seconds(24 * 3_600)
  /// Between two fetches that tokens with an unknown `kid` ask for.
  package static let refreshInterval = TimeSpan.seconds(10)
  /// For the whole fetch of a key set.
  package static let fetchTimeout = TimeSpan.seconds(5)
  /// How often a key set's file is looked at.
  package static let fileInterval = TimeSpan.seconds(1)
  /// Verified tokens that a worker remembers, and their bytes.
  package static let rememberedTokens = 1_024
  package static let rememberedBytes = 2 << 20
}
