import MeshCore
import MeshPolicy
import Testing

@Suite struct MirrorShareTests {
  @Test(
    "of every run of requests the share is within two", arguments: [(0, 100), (1, 100), (50, 100), (100, 100), (1, 3)])
  func share(_ numerator: UInt32, _ denominator: UInt32) {
    let backend = ServicePort(service: ServiceName(name: "m", namespace: "shop"), port: 80)
    let mirror = RequestMirror(backend: backend, numerator: numerator, denominator: denominator)
    var share = MirrorShare(mirror, start: 12_345)
    var count = 0
    for n in 1...3_000 {
      if share.next() { count += 1 }
      #expect(abs(Double(count) - Double(n) * Double(numerator) / Double(denominator)) < 3)
    }
  }
}
