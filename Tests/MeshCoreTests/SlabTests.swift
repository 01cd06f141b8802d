import MeshCore
import Testing

@Suite struct SlabTests {
  @Test("a key finds its value until the value is removed")
  func findsUntilRemoved() {
    var slab = Slab<String>()
    let a = slab.insert("a")
    let b = slab.insert("b")
    #expect(slab[a] == "a" && slab[b] == "b" && slab.count == 2)
    #expect(slab.remove(a) == "a")
    #expect(slab[a] == nil && slab[b] == "b" && slab.count == 1)
    #expect(slab.remove(a) == nil)
    #expect(slab.count == 1)
  }

  @Test("a stale key does not find the value that took its place")
  func staleKey() {
    var slab = Slab<Int>()
    let old = slab.insert(1)
    slab.remove(old)
    let new = slab.insert(2)
    #expect(new.index == old.index && new != old)
    #expect(slab[old] == nil && slab[new] == 2)
    #expect(slab.remove(old) == nil && slab[new] == 2)
  }

  @Test("places are reused, and every held value is visited once")
  func reuse() {
    var slab = Slab<Int>()
    var keys = (0..<100).map { slab.insert($0) }
    for key in keys[0..<50] { slab.remove(key) }
    keys.removeFirst(50)
    for value in 100..<150 { keys.append(slab.insert(value)) }
    #expect(keys.allSatisfy { $0.index < 100 })
    var seen: [Int] = []
    slab.forEach { seen.append($1) }
    #expect(seen.sorted() == Array(50..<150))
  }

  @Test("a key from elsewhere finds nothing")
  func foreignKey() {
    let slab = Slab<Int>()
    #expect(slab[.init(rawValue: .max)] == nil)
    #expect(slab[.init(rawValue: 0)] == nil)
  }
}
