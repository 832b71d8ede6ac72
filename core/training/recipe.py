"""Which sprites of a collection are trained on, and as what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_STOP = (
    "a an and at by for from in of on or the to with spell icon dungeon feature small left right "
    "hand item old new unused body f m armor headgear legwear character middle slant "
    "n e s w ne nw se sw b c d v y"
)
_ITEMS = "potion scroll wand jewellery weapon armour food book"
_MEANINGS = {
    "gray": "grey", "ybrown": "brown", "redbrown": "red brown", "grayfist": "grey",
    "darkgreen": "dark green", "darkbrown": "dark brown", "darkgrey": "dark grey",
    "lightgreen": "light green", "lightbrown": "light brown", "lightgrey": "light grey",
    "darkgray": "dark grey", "lightgray": "light grey", "lightblue": "light blue",
    "lightcyan": "light cyan", "lightmagenta": "light magenta", "lightred": "light red",
    "blackgold": "black gold", "blackred": "black red", "bluegreen": "blue green",
    "lshield": "shield", "buckler": "buckler shield", "fhelm": "helm", "bplate": "breastplate",
    "horns": "horn", "horned": "horn", "pigtails": "pigtail", "gloves": "glove",
    "gauntlet": "gauntlet glove", "trouser": "trouser pants", "quarterstaff": "quarterstaff staff",
    "battleaxe": "battleaxe axe", "broadsword": "broadsword sword", "cutlass": "cutlass sword",
    "falchion": "falchion sword", "katana": "katana sword", "rapier": "rapier sword",
    "brown1": "brown", "brown2": "brown", "ghoul2": "ghoul", "kobold2": "kobold",
    "stone1": "stone", "stone2": "stone", "stone3": "stone", "grass0": "grass",
    "sabre": "sabre sword", "scimitar": "scimitar sword", "crossbow2": "crossbow",
}  # fmt: skip
_TILES = frozenset({"floor"})
_MIRRORED = "floor wall effect animal monster undead demon statue altar gateway"


@dataclass(frozen=True, slots=True)
class Augment:
    """How sprites are varied: which classes ("" of those without) are `mirrored` half of the time,
    which `turned` by quarters, having no side that is up, and which `rolled` any way, being tiles;
    whether they are moved by a pixel where there is room, the share whose red, green and blue
    change places.
    """

    mirrored: frozenset[str] = frozenset()
    turned: frozenset[str] = frozenset()
    rolled: frozenset[str] = frozenset()
    shift: bool = False
    recolour: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to take from a collection: the `classes` with their categories, and how.

    `meanings` are what the captions' odd words stand for: a shield is one whatever its file is
    called. `items` are the classes whose sprites must fill the picture (`least_extent` pixels wide
    or high, `least_pixels` in all). `dolls` sprites of the class `doll_class` are composed from
    layers, and have `doll_share` of what is shown.
    """

    classes: Mapping[str, tuple[str, ...]]
    size: int = 32
    stop_words: frozenset[str] = frozenset()
    meanings: Mapping[str, str] = field(default_factory=dict)
    items: frozenset[str] = frozenset()
    varied: Augment = Augment()
    least_pixels: int = 40
    least_item_pixels: int = 60
    least_extent: int = 17
    least_uses: int = 3
    doll_class: str = ""
    dolls: int = 0
    doll_share: float = 0.0
    least_doll_uses: int = 40


DUNGEON = Recipe(
    classes=MappingProxyType(
        {
            "altar": ("dngn/altars",),
            "animal": ("mon/animals",),
            "armour": ("item/armour",),
            "book": ("item/book",),
            "demon": ("mon/demons", "mon/demonspawn", "mon/panlord"),
            "dragon": ("mon/dragons", "mon/draco"),
            "effect": ("effect",),
            "floor": ("dngn/floor",),
            "food": ("item/food",),
            "gateway": ("dngn/gateways",),
            "jewellery": ("item/amulet", "item/ring"),
            "monster": ("mon", "mon/unique", "mon/spriggan", "mon/vault", "mon/nonliving"),
            "potion": ("item/potion",),
            "scroll": ("item/scroll",),
            "spell": ("gui/spells",),
            "statue": ("dngn/statues", "mon/statues"),
            "undead": ("mon/undead",),
            "wall": ("dngn/wall",),
            "wand": ("item/rod", "item/wand", "item/staff"),
            "weapon": ("item/weapon",),
        }
    ),
    stop_words=frozenset(_STOP.split()),
    meanings=MappingProxyType(_MEANINGS),
    items=frozenset(_ITEMS.split()),
    varied=Augment(frozenset(_MIRRORED.split()), _TILES, _TILES, shift=True),
    doll_class="hero",
    dolls=6000,
    doll_share=0.6,  # they have the most words to learn
)
"""The bundled model's: dungeon-32."""
