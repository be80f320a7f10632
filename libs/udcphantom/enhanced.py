"""Computed tomography of a scene as one Enhanced CT multi-frame file (PS3.3 A.38.1)."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian

from udcphantom.ct import Kernel, add_noise
from udcphantom.encoding import encode, set_pixels
from udcphantom.geometry import Geometry, Plane
from udcphantom.header import SeriesHeader, StudyContext, new_image
from udcphantom.identity import Identity
from udcphantom.pixels import PixelForm
from udcphantom.rendering import render_plane
from udcphantom.scene import Phantom
from udcphantom.study import Series, Study, Truth

ENHANCED_VOLUME = SeriesHeader(role="enhanced", number=2, modality="CT", description="Голова многокадровая")


def render_enhanced_ct(
    scene: Phantom,
    geometry: Geometry,
    *,
    identity: Identity | None = None,
    seed: int = 1,
    kernel: Kernel = Kernel.SOFT,
    noise_hu: float = 4.0,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> Study:
    """Make a CT study whose one series is one multi-frame file; arguments as in ``render_ct``.

    Args:
        scene: What is scanned.
        geometry: Where the frames lie; frame n is plane n.
        identity: Whom and when; an invented default patient if left out.
        seed: Decides UIDs and noise.
        kernel: Convolution kernel.
        noise_hu: Standard deviation of the noise, HU.
        transfer_syntax: One of ``udcphantom.encoding.TRANSFER_SYNTAXES``.

    Returns:
        The study; its truth is the scene.
    """
    context = StudyContext(identity=identity or Identity(), seed=seed)
    header, pixels = ENHANCED_VOLUME, PixelForm()
    dataset = new_image(context, header, sop_class=EnhancedCTImageStorage, number=1)
    _describe_image(dataset, context, geometry)
    frames = [
        pixels.stored(add_noise(render_plane(scene, plane), noise_hu, seed, header.role, index), index=index)
        for index, plane in enumerate(geometry.planes)
    ]
    dataset.NumberOfFrames = len(frames)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, pixels.bits_stored, pixels.bits_stored - 1
    dataset.PixelRepresentation = 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    set_pixels(dataset, np.stack(frames))
    shared = _shared_groups(context, geometry, pixels, kernel)
    frame_groups = [_frame_groups(dataset, plane, index) for index, plane in enumerate(geometry.planes)]
    _measure_pixels(shared, frame_groups, geometry)
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = frame_groups
    series = Series(context.uid(header.role, header.number), "CT", header.role, (encode(dataset, transfer_syntax),))
    return Study(context.uid("study"), context.identity.patient_id, (series,), Truth(scene))


def _describe_image(dataset: Dataset, context: StudyContext, geometry: Geometry) -> None:
    del dataset.PatientOrientation
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.PixelPresentation = "MONOCHROME"
    dataset.VolumetricProperties = "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.AcquisitionDateTime = dataset.ContentDate + dataset.ContentTime
    del dataset.AcquisitionDate, dataset.AcquisitionTime
    dataset.AcquisitionDuration = 10.0
    dataset.AcquisitionNumber = 1
    dataset.ContentQualification = "RESEARCH"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.FrameOfReferenceUID = context.uid("frame-of-reference")
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = geometry.patient_position.value
    dataset.AcquisitionContextSequence = []
    organization = Dataset()
    organization.DimensionOrganizationUID = context.uid("dimensions")
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = [_dimension(context, pointer) for pointer in (0x00209056, 0x00209057)]


def _dimension(context: StudyContext, pointer: int) -> Dataset:
    dimension = Dataset()
    dimension.DimensionOrganizationUID = context.uid("dimensions")
    dimension.DimensionIndexPointer = pointer
    dimension.FunctionalGroupPointer = 0x00209111
    return dimension


def _shared_groups(context: StudyContext, geometry: Geometry, pixels: PixelForm, kernel: Kernel) -> Dataset:
    """Write the functional groups that are the same for every frame (PS3.3 C.7.6.16.2, C.8.15.3)."""
    first = geometry.planes[0]
    groups = Dataset()
    groups.PlaneOrientationSequence = [_item(ImageOrientationPatient=[*first.row, *first.column])]
    slope, intercept = pixels.rescale(0)
    groups.PixelValueTransformationSequence = [_item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="HU")]
    groups.FrameVOILUTSequence = [_item(WindowCenter=40, WindowWidth=80)]
    head = _item(CodeValue="69536005", CodingSchemeDesignator="SCT", CodeMeaning="Head")
    groups.FrameAnatomySequence = [_item(FrameLaterality="U", AnatomicRegionSequence=[head])]
    groups.IrradiationEventIdentificationSequence = [
        _item(IrradiationEventUID=context.uid("irradiation", 1)),
    ]
    groups.CTImageFrameTypeSequence = [
        _item(
            FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
        )
    ]
    groups.CTAcquisitionTypeSequence = [
        _item(
            AcquisitionType="SEQUENCED",
            ConstantVolumeFlag="NO",
            FluoroscopyFlag="NO",
        )
    ]
    groups.CTAcquisitionDetailsSequence = [
        _item(
            RotationDirection="CW",
            RevolutionTime=1.0,
            SingleCollimationWidth=first.thickness,
            TotalCollimationWidth=first.thickness,
            TableHeight=0.0,
            GantryDetectorTilt=geometry.tilt_deg,
            DataCollectionDiameter=500.0,
        )
    ]
    # Nothing moves while a sequential scanner exposes; the group itself is mandatory for an original image.
    groups.CTTableDynamicsSequence = [Dataset()]
    groups.CTGeometrySequence = [_item(DistanceSourceToDetector=1000.0, DistanceSourceToDataCollectionCenter=550.0)]
    groups.CTReconstructionSequence = [
        _item(
            ReconstructionAlgorithm="FILTER_BACK_PROJ",
            ConvolutionKernel=kernel.value,
            ConvolutionKernelGroup="BRAIN",
            ReconstructionDiameter=first.spacing[1] * first.columns,
            ReconstructionPixelSpacing=list(first.spacing),
            ReconstructionAngle=360.0,
            ImageFilter="NONE",
        )
    ]
    groups.CTXRayDetailsSequence = [
        _item(
            KVP=120.0,
            FocalSpots=[1.0],
            FilterType="NONE",
            FilterMaterial="ALUMINUM",
        )
    ]
    groups.CTExposureSequence = [
        _item(
            ExposureTimeInms=1000.0,
            XRayTubeCurrentInmA=250.0,
            ExposureInmAs=250.0,
            ExposureModulationType="NONE",
            CTDIvol=50.0,
            CTDIPhantomTypeCodeSequence=[
                _item(CodeValue="113690", CodingSchemeDesignator="DCM", CodeMeaning="IEC Head Dosimetry Phantom")
            ],
        )
    ]
    return groups


def _frame_groups(dataset: Dataset, plane: Plane, index: int) -> Dataset:
    """Write the functional groups of one frame."""
    groups = Dataset()
    moment = dataset.AcquisitionDateTime
    groups.FrameContentSequence = [
        _item(
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime=moment,
            FrameAcquisitionDateTime=moment,
            FrameAcquisitionDuration=1000.0,
            StackID="1",
            InStackPositionNumber=index + 1,
            DimensionIndexValues=[1, index + 1],
        )
    ]
    groups.PlanePositionSequence = [_item(ImagePositionPatient=list(plane.position))]
    isocentre = [
        float(value) for value in plane.at(np.asarray((plane.rows - 1) / 2), np.asarray((plane.columns - 1) / 2))
    ]
    groups.CTPositionSequence = [
        _item(
            TablePosition=isocentre[2],
            DataCollectionCenterPatient=isocentre,
            ReconstructionTargetCenterPatient=isocentre,
        )
    ]
    return groups


def _measure_pixels(shared: Dataset, frame_groups: list[Dataset], geometry: Geometry) -> None:
    """Write pixel spacing and thickness once if all frames agree, else for each frame."""
    measures = [(plane.spacing, plane.thickness) for plane in geometry.planes]
    holders = [shared] if len(set(measures)) == 1 else frame_groups
    for holder, (spacing, thickness) in zip(holders, measures, strict=False):
        holder.PixelMeasuresSequence = [_item(PixelSpacing=list(spacing), SliceThickness=thickness)]


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
