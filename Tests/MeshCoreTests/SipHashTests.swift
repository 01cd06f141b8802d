import MeshCore
import Testing

@Suite("SipHash-2-4")
struct SipHashTests {
  /// Of the reference implementation's `vectors_sip64`: the bytes 0, 1, 2 ... under the key 0 ... 15.
  private static let vectors: [UInt64] = [
    0x726F_DB47_DD0E_0E31, 0x74F8_39C5_93DC_67FD, 0x0D6C_8009_D9A9_4F5A, 0x8567_6696_D7FB_7E2D,
    0xCF27_94E0_2771_87B7, 0x1876_5564_CD99_A68D, 0xCBC9_466E_58FE_E3CE, 0xAB02_00F5_8B01_D137,
    0x93F5_F579_9A93_2462,
  ]

  private static let key = SipKey(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)

  private static func hash(of length: Int) -> UInt64 {
    Array(0..<UInt8(length)).withUnsafeBytes { key.hash($0) }
  }

  @Test("the published vectors", arguments: vectors.indices)
  func published(_ length: Int) {
    #expect(Self.hash(of: length) == Self.vectors[length])
  }

  @Test("the example of the paper")
  func paper() { #expect(Self.hash(of: 15) == 0xA129_CA61_49BE_45E5) }

  @Test("a key is 16 bytes")
  func bytes() {
    #expect(SipKey(bytes: Array(0..<16)) == Self.key)
    #expect(SipKey(bytes: Array(0..<15)) == nil)
    #expect(SipKey(bytes: Array(0..<17)) == nil)
  }
}
